"""Usage: linked_libraries_test.py BIN_DIRECTORY [SANITIZERS]. What each program may not load (docs/architecture.md)."""

import subprocess
import sys
import unittest
from pathlib import Path

BIN = Path(sys.argv[1])
SANITIZED = len(sys.argv) > 2  # then the C++ library is the sanitizer's choice
del sys.argv[1:]


def libraries(program):
    return subprocess.run(["ldd", BIN / program], capture_output=True, text=True, check=False).stdout


class LinkedLibraries(unittest.TestCase):
    def test_the_supervisor_loads_neither_libtorch_nor_onednn(self):
        loaded = libraries("keisei")
        self.assertIn("libc.so", loaded)
        self.assertNotIn("libtorch", loaded)
        self.assertNotIn("libdnnl", loaded)

    def test_what_a_guarded_command_waits_for_is_not_loaded(self):
        """Each costs `keisei guard` a part of its start (bench/guard_overhead)."""
        runtime = [] if SANITIZED else ["libstdc++", "libgcc_s"]
        for program in ["keisei", "keisei-gpu-probe"]:
            loaded = libraries(program)
            self.assertIn("libc.so", loaded)
            for library in ["libfmt", "libspdlog", "libtomlplusplus", "libxxhash", *runtime]:
                self.assertNotIn(library, loaded)

    def test_the_worker_loads_onednn_and_no_libtorch(self):
        loaded = libraries("keisei-worker")
        self.assertIn("libdnnl", loaded)
        self.assertNotIn("libtorch", loaded)

    def test_libtorch_calls_its_own_fmt(self):
        if not (BIN / "keisei-train").exists():
            self.skipTest("keisei-train was not built")
        exported = subprocess.run(["nm", "-DC", "--defined-only", BIN / "keisei-train"],
                                  capture_output=True, text=True, check=True).stdout
        self.assertNotIn("fmt::", exported)

    def test_the_jail_is_static(self):
        self.assertTrue((BIN / "keisei-jail").exists())
        self.assertEqual(libraries("keisei-jail"), "")


if __name__ == "__main__":
    unittest.main()
