// What a guarded command finds in /proc: itself, and no more of the host than before.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "guarded_run.h"
#include "os/child.h"

namespace keisei {
namespace {

namespace fs = std::filesystem;

class GuardedProc : public testing::Test {
 protected:
  /// Of the shell that runs `script`, with «$keisei» and a directory «$directory» to work in. 77
  /// where there is nothing to test.
  int shell(const std::string& script) {
    const fs::path bin = fs::read_symlink("/proc/self/exe").parent_path();
    std::vector<std::string> environment = runs_.environment();
    environment.push_back("keisei=" + (bin / "keisei").string());
    environment.push_back("directory=" + runs_.directory().string());
    const fs::path out = runs_.directory() / "made-out";
    const UniqueFd in(open("/dev/null", O_RDONLY | O_CLOEXEC));
    const UniqueFd file(open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    Result<os::Child> child =
        os::Child::spawn({.argv = {"/bin/sh", "-c", script},
                          .environment = environment,
                          .fds = {{in.get(), 0}, {file.get(), 1}, {file.get(), 2}}});
    EXPECT_TRUE(child) << child.error().message;
    const os::ExitStatus status = child->wait();
    said_ = read_file(out).value_or("");
    return status.code.value_or(-1);
  }
  /// As a user who may mount things in a namespace of his own; 77 where nobody may.
  int in_mounts_of_its_own(const std::string& script) {
    const std::string privately = geteuid() == 0 ? "unshare -m" : "unshare -r -m";
    return shell(privately + " true || exit 77; exec " + privately + " sh -c '" + script + "'");
  }

  [[nodiscard]] bool has_own_proc() const {
    return read_file(runs_.directory() / "made-record")
               .value_or("")
               .find("/proc: its own processes") != std::string::npos;
  }

  testing_support::GuardedRuns runs_;
  std::string said_;
};

/// CUDA looks itself up there by its number, and does not start where it finds somebody else.
TEST_F(GuardedProc, AProgramFindsItselfUnderItsNumber) {
  const int code = shell(R"sh(exec "$keisei" guard --report "$directory/made-record" -- /bin/sh -c '
      read -r number rest </proc/self/stat; test "$number" = "$$" || exit 3
      test -e /proc/1/comm || exit 4')sh");
  if (!has_own_proc()) {
    const std::string own = geteuid() == 0 ? "unshare -p -f" : "unshare -r -p -f";
    ASSERT_NE(shell("exec " + own + " --mount-proc true"), 0) << "it can be had here";
    GTEST_SKIP() << "nobody may mount a /proc here";  // the tier says so
  }
  EXPECT_EQ(code, 0) << said_;
}

TEST_F(GuardedProc, WhatIsMountedInsideItStays) {
  // One that shows something else, as LXC does, and one that hides, as containers do.
  const int code = in_mounts_of_its_own(R"sh(
      echo "of the container" >"$directory/made-version"
      mount --bind "$directory/made-version" /proc/version || exit 77
      mount --bind /dev/null /proc/cmdline || exit 77
      exec "$keisei" guard --report "$directory/made-record" -- /bin/sh -c "
        test \"\$(cat /proc/version)\" = \"of the container\" || exit 3
        test -z \"\$(cat /proc/cmdline)\" || exit 4")sh");
  if (code == 77 || !has_own_proc()) {
    GTEST_SKIP() << "nobody may mount a /proc here: " << said_;
  }
  EXPECT_EQ(code, 0) << said_;
}

/// Mounts at one place, shared with whoever shares the host's, as systemd makes them: none of what
/// the jail does there may come out, nor add up.
TEST_F(GuardedProc, TheHostsMountsStayAsTheyAre) {
  const int code = in_mounts_of_its_own(R"sh(
      echo below >"$directory/made-below"; echo above >"$directory/made-above"
      mount --make-rshared /proc || exit 77
      mount --bind "$directory/made-below" /proc/version || exit 77
      mount --bind "$directory/made-above" /proc/version || exit 77
      sort /proc/self/mountinfo >"$directory/made-before"
      for run in 1 2 3; do
        "$keisei" guard --report "$directory/made-record" -- /bin/sh -c "
          test \"\$(cat /proc/version)\" = above || exit 3
          test \"\$(grep -c \" /proc/version \" /proc/self/mountinfo)\" -ge 1 || exit 4" || exit
      done
      sort /proc/self/mountinfo | diff "$directory/made-before" - || exit 5)sh");
  if (code == 77 || !has_own_proc()) {
    GTEST_SKIP() << "nobody may mount a /proc here: " << said_;
  }
  EXPECT_EQ(code, 0) << said_;
}

TEST_F(GuardedProc, WhatACommandMountsElsewhereIsSeenOutside) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "a user namespace receives mounts, and hands on none";
  }
  const int code = in_mounts_of_its_own(R"sh(
      mkdir "$directory/made-mount" && mount -t tmpfs none "$directory/made-mount" || exit 77
      mount --make-shared "$directory/made-mount" && mkdir "$directory/made-mount/inner" || exit 77
      "$keisei" guard -- mount -t tmpfs none "$directory/made-mount/inner" || exit 3
      grep -q "made-mount/inner " /proc/self/mountinfo || exit 4
      test "$(grep -c " /proc " /proc/self/mountinfo)" = 1 || exit 5)sh");
  if (code == 77) {
    GTEST_SKIP() << "nobody may mount anything here: " << said_;
  }
  EXPECT_EQ(code, 0) << said_;
}

}  // namespace
}  // namespace keisei
