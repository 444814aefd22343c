// A disk that fills up while `keisei train` saves: a real one, a small tmpfs in namespaces of this
// test.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "net/snapshot.h"
#include "program.h"

namespace keisei::tests {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

/// Mounts a tmpfs of `size` on `where`, visible to this process and its children only; it goes with
/// them. False where the kernel does not let us.
bool mount_small_disk(const fs::path& where, const char* size) {
  const int namespaces = ::geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS;
  fs::create_directory(where);
  return ::unshare(namespaces) == 0 &&
         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", where.c_str(), "tmpfs", 0, size) == 0;
}

void unmount(const fs::path& where) { ::umount2(where.c_str(), MNT_DETACH); }

TEST(FullDisk, LosesNoCheckpointAndIsSaidOnceTrainingEnds) {
  const TestDirectory directory;
  const fs::path disk = directory.path() / "disk";
  if (!mount_small_disk(disk, "size=6m")) {
    GTEST_SKIP() << "no mount namespace here";
  }
  const fs::path run = disk / "run";
  const auto train = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments{"train", "--run", run.string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Program("keisei", arguments, directory.path());
  };
  {
    Program program =
        train({"--set", "training.total_steps=8192", "--set", "training.environments=16", "--set",
               "training.rollout_steps=16", "--set", "training.minibatch=128", "--set",
               "training.micro_batch=64", "--set", "checkpoints.interval_steps=256", "--set",
               "checkpoints.keep=1000", "--set", "evaluation.enabled=false"});
    const auto status = program.wait(120s);
    ASSERT_TRUE(status.has_value()) << program.err();
    EXPECT_EQ(status->code, 1) << program.err();
    // A checkpoint's or the run store's, whichever comes first.
    EXPECT_THAT(program.err(), testing::AnyOf(testing::HasSubstr("No space left on device"),
                                              testing::HasSubstr("the disk is full")));
  }
  int readable = 0;
  for (const auto& file : fs::directory_iterator(run / "checkpoints")) {
    EXPECT_NE(file.path().extension(), ".tmp") << file.path();
    const auto snapshot = net::Snapshot::from_file(file.path());
    EXPECT_TRUE(snapshot) << snapshot.error().message;
    readable += snapshot && snapshot->weights() ? 1 : 0;
  }
  EXPECT_GE(readable, 1);
  EXPECT_TRUE(processes_with(run.string()).empty());

  // Somebody makes room: the run goes on from what was saved.
  std::vector<fs::path> saved;
  for (const auto& file : fs::directory_iterator(run / "checkpoints")) {
    saved.push_back(file.path());
  }
  std::ranges::sort(saved);
  for (std::size_t i = 0; i + 1 < saved.size(); ++i) {
    fs::remove(saved[i]);
  }
  Program again = train({"--resume", "--set", "checkpoints.keep=1"});
  const auto status = again.wait(120s);
  ASSERT_TRUE(status.has_value()) << again.err();
  EXPECT_TRUE(status->success()) << again.err();
  unmount(disk);
}

}  // namespace
}  // namespace keisei::tests
