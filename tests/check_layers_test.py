"""Plants one violation at a time in a small tree and sees tools/check_layers name it."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOL = Path(__file__).resolve().parent.parent / "tools" / "check_layers"


def check(files):
    """Runs the tool over a tree of {path below src: text}; returns (exit code, output)."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            file = Path(root, "src", path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, str(TOOL), root], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout


class CheckLayers(unittest.TestCase):
    def assert_refused(self, path, text, reason):
        code, output = check({path: text})
        self.assertEqual(code, 1, output)
        self.assertIn(f"src/{path}:", output)
        self.assertIn(reason, output)

    def assert_clean(self, path, text):
        code, output = check({path: text})
        self.assertEqual(code, 0, output)

    def test_downward_includes_are_clean(self):
        self.assert_clean("eval/a.cc", '#include "shogi/position.h"\n#include "base/result.h"\n')

    def test_upward_include_is_refused(self):
        self.assert_refused("shogi/a.h", '#include "env/planes.h"\n', "shogi may not include env")

    def test_train_sees_neither_eval_nor_guard_nor_store(self):
        for module in ("eval", "guard", "store"):
            self.assert_refused("train/a.cc", f'#include "{module}/x.h"\n', "train may not include")

    def test_only_guard_may_launch_a_jail(self):
        self.assert_clean("guard/a.cc", '#include "os/launcher.h"\n#include "os/jail.h"\n')
        for header in ("os/launcher.h", "os/jail.h"):
            self.assert_refused("eval/a.cc", f'#include "{header}"\n', "may include " + header)
            self.assert_refused("app/train_command.cc", f'#include "{header}"\n', header)

    def test_children_start_in_three_places_only(self):
        self.assert_clean("app/train_command.cc", '#include "os/child.h"\n')
        self.assert_clean("match/usi_engine.cc", '#include "os/child.h"\n')
        self.assert_refused("app/evaluate_command.cc", '#include "os/child.h"\n', "os/child.h")
        self.assert_refused("match/lockstep.cc", '#include "os/child.h"\n', "os/child.h")

    def test_match_sees_no_more_of_os_than_child(self):
        self.assert_refused("match/usi_engine.cc", '#include "os/procfs.h"\n', "may include only")

    def test_process_starting_calls_outside_os_are_refused(self):
        for call in ("fork()", "::vfork()", "execve(a, b, c)", "system(\"x\")", "popen(a, b)",
                     "posix_spawn(a)", "syscall(SYS_clone3, a)", "execlp(a)", "fexecve(f, a, e)"):
            self.assert_refused("eval/a.cc", f"int x() {{ return {call}; }}\n", "outside os/")
        self.assert_clean("os/launcher.cc", "int x() { return fork(); }\n")

    def test_no_way_around_the_calls(self):
        for text in ("auto* f = &::system;", "auto f = fork;", "syscall(__NR_clone3, a, b);",
                     "using ::execve;", "(fork)();"):
            self.assert_refused("eval/a.cc", f"void x() {{ {text} }}\n", "outside os/")
        self.assert_clean("eval/a.cc", "boost::system::error_code e; std::chrono::system_clock c;\n")

    def test_no_way_around_the_headers(self):
        self.assert_refused("eval/a.cc", '#include "../os/launcher.h"\n', "without ..")
        self.assert_refused("eval/a.cc", "#include <os/launcher.h>\n", "is ours")
        self.assert_refused("guard/a.cc", '#include "os/spawn.h"\n', "may include os/spawn.h")
        self.assert_refused("guard/a.cc", '#include "os/jail_internal.h"\n', "os/jail_internal.h")
        self.assert_refused("os/gpu.cc", '#include "os/nvml.h"\n', "may include os/nvml.h")
        self.assert_clean("os/gpu_probe_main.cc", '#include "os/nvml.h"\n')

    def test_words_in_comments_and_strings_are_no_calls(self):
        self.assert_clean("eval/a.cc", '// fork() here\n/* system(x) */ auto s = "fork()";\n')

    def test_methods_with_such_names_are_no_calls(self):
        self.assert_clean("eval/a.cc", "void f(Db& db) { db.exec(1); db.system(2); std::generic_category(); }\n")

    def test_libraries_stay_in_their_rooms(self):
        self.assert_clean("net/torch/a.cc", "#include <torch/torch.h>\n")
        for path, header in (("train/a.cc", "torch/torch.h"), ("net/a.cc", "oneapi/dnnl/dnnl.hpp"),
                             ("report/a.cc", "SQLiteCpp/SQLiteCpp.h"), ("eval/a.cc", "spdlog/spdlog.h"),
                             ("guard/a.cc", "CLI/CLI.hpp"), ("guard/a.cc", "boost/process.hpp"),
                             ("guard/a.cc", "seccomp.h"), ("train/a.cc", "boost/asio.hpp")):
            with self.subTest(header=header):
                self.assert_refused(path, f"#include <{header}>\n", "belongs in")

    def test_json_never_stands_in_a_header(self):
        self.assert_clean("telemetry/a.cc", "#include <nlohmann/json.hpp>\n")
        self.assert_refused("telemetry/a.h", "#include <nlohmann/json.hpp>\n", ".cc files only")

    def test_no_limit_is_judged_by_the_wall_clock(self):
        for text in ("auto t = std::chrono::system_clock::now();\n", "timerfd_create(CLOCK_REALTIME, 0);\n"):
            self.assert_clean("app/a.cc", text)
            for module in ("guard", "os"):
                self.assert_refused(f"{module}/a.cc", text, "wall clock")

    def test_unknown_folder_is_refused(self):
        self.assert_refused("helpers/a.h", "int x;\n", "no module")


if __name__ == "__main__":
    unittest.main()
