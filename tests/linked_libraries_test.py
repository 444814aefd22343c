"""Usage: linked_libraries_test.py BIN_DIRECTORY. What each program may not load (docs/architecture.md)."""

import subprocess
import sys
import unittest
from pathlib import Path

BIN = Path(sys.argv.pop())


def libraries(program):
    return subprocess.run(["ldd", BIN / program], capture_output=True, text=True, check=False).stdout


class LinkedLibraries(unittest.TestCase):
    def test_the_supervisor_loads_neither_libtorch_nor_onednn(self):
        loaded = libraries("keisei")
        self.assertIn("libstdc++", loaded)
        self.assertNotIn("libtorch", loaded)
        self.assertNotIn("libdnnl", loaded)

    def test_the_worker_loads_onednn_and_no_libtorch(self):
        loaded = libraries("keisei-worker")
        self.assertIn("libdnnl", loaded)
        self.assertNotIn("libtorch", loaded)

    def test_the_jail_is_static(self):
        self.assertTrue((BIN / "keisei-jail").exists())
        self.assertEqual(libraries("keisei-jail"), "")


if __name__ == "__main__":
    unittest.main()
