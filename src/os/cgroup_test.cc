#include "os/cgroup.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>

#include "os/jail.h"
#include "os/procfs.h"

namespace keisei::os {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

TEST(CgroupValues, TheQuotaIsTheShareOfItsPeriod) {
  EXPECT_EQ(cpu_quota(20), "20000 100000");
  EXPECT_EQ(cpu_quota(250), "250000 100000");
  EXPECT_EQ(cpu_quota(1), "1000 100000");
  EXPECT_EQ(cpu_quota(0.5), "5000 1000000");
  EXPECT_FALSE(cpu_quota(0.05));
  EXPECT_FALSE(cpu_quota(0));
}

TEST(CgroupValues, AKeyIsAWholeWordAndItsValueANumber) {
  constexpr const char* kEvents = "low 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 1\nbad x\n";
  EXPECT_EQ(keyed_value(kEvents, "oom_kill"), 2);
  EXPECT_EQ(keyed_value(kEvents, "max"), 7);
  EXPECT_FALSE(keyed_value(kEvents, "oom_k"));
  EXPECT_FALSE(keyed_value(kEvents, "bad"));
  EXPECT_FALSE(keyed_value("", "max"));
  EXPECT_FALSE(keyed_value("max", "max"));
}

TEST(CgroupTrees, ADirectoryThatIsNoCgroupIsNotAdopted) {
  std::string pattern = (fs::temp_directory_path() / "keisei-cgroup-XXXXXX").string();
  const fs::path directory = mkdtemp(pattern.data());
  EXPECT_FALSE(CgroupTree::adopt({.directory = directory}));
  EXPECT_FALSE(CgroupTree::adopt({.directory = directory / "missing"}));
  EXPECT_TRUE(fs::is_empty(directory));  // nothing was created in it
  fs::remove_all(directory);
}

// --- On a real kernel, where a subtree is delegated to this test (tests/vm/run)
// --------------------

class RealCgroups : public testing::Test {
 protected:
  void SetUp() override {
    const auto place = find_delegated_cgroup(this_cgroup_host());
    if (!place) {
      GTEST_SKIP() << "no delegated cgroup v2: " << place.error().message;
    }
    auto tree = CgroupTree::adopt(*place);
    ASSERT_TRUE(tree) << tree.error().message;
    tree_.emplace(std::move(*tree));
  }

  CgroupLeaf leaf(const CgroupLimits& limits) {
    auto made = tree_->make_leaf(limits);
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }

  /// A child inside `leaf`, in its cgroup `where`, that does `what` and exits with its value.
  template <typename What>
  static pid_t start(const CgroupLeaf& leaf, What what, const char* where = ".") {
    int entered[2] = {-1, -1};
    EXPECT_EQ(pipe2(entered, O_CLOEXEC), 0);
    const UniqueFd ours(entered[0]);
    UniqueFd theirs(entered[1]);
    const pid_t pid = fork();
    if (pid == 0) {
      std::ofstream procs(leaf.path() / where / "cgroup.procs");
      if (!(procs << 0 << std::flush) || write(theirs.get(), "x", 1) != 1) {
        _exit(99);
      }
      _exit(what());
    }
    theirs.reset();
    char byte = 0;
    EXPECT_EQ(read(ours.get(), &byte, 1), 1);  // it is inside
    return pid;
  }
  static int end_of(pid_t pid) {
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    return status;
  }
  static bool touch(std::size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      return false;
    }
    memset(memory, 1, bytes);
    return true;
  }
  static double cpu_seconds(const CgroupLeaf& leaf) {
    return leaf.account().cpu_seconds.value_or(0);
  }
  /// Within ten seconds.
  template <typename Condition>
  static bool soon(Condition condition) {
    for (int i = 0; i < 5000; ++i) {
      if (condition()) {
        return true;
      }
      std::this_thread::sleep_for(2ms);
    }
    return false;
  }

  std::optional<CgroupTree> tree_;
};

TEST_F(RealCgroups, MemoryAboveTheLimitEndsAllOfTheLeaf) {
  const CgroupLeaf held = leaf({.memory = megabytes(60)});
  const pid_t bystander = start(held, [] { return pause(); });
  const pid_t hog = start(held, [] { return touch(200'000'000) ? 0 : 1; });
  const int end = end_of(hog);
  EXPECT_TRUE(WIFSIGNALED(end) && WTERMSIG(end) == SIGKILL);
  EXPECT_TRUE(WIFSIGNALED(end_of(bystander)));
  const CgroupAccount account = held.account();
  EXPECT_GE(account.oom_kills, 1);
  if (account.memory_peak) {
    EXPECT_LE(*account.memory_peak, megabytes(60));
    EXPECT_GE(*account.memory_peak, megabytes(50));
  }
}

TEST_F(RealCgroups, MemoryBelowTheLimitEndsNothing) {
  const CgroupLeaf held = leaf({.memory = megabytes(200)});
  EXPECT_EQ(end_of(start(held, [] { return touch(50'000'000) ? 0 : 1; })), 0);
  EXPECT_EQ(held.account().oom_kills, 0);
}

TEST_F(RealCgroups, ForksAboveTheLimitAreRefusedAndCounted) {
  const CgroupLeaf held = leaf({.tasks = 5});
  const pid_t parent = start(held, [] {
    int made = 0;
    for (; made < 50 && fork() > 0; ++made) {
    }
    return made;
  });
  const int end = end_of(parent);
  ASSERT_TRUE(WIFEXITED(end));
  EXPECT_LE(WEXITSTATUS(end), 4);
  EXPECT_GE(held.account().refused_tasks, 1);
}

TEST_F(RealCgroups, AFrozenTreeStandsStillAndDiesAllTheSame) {
  CgroupLeaf held = leaf({});
  EXPECT_TRUE(held.can_freeze());
  const auto spin = [] {
    while (true) {
    }
    return 0;
  };
  const pid_t spinner = start(held, spin, kTreeCgroup);
  ASSERT_TRUE(soon([&] { return cpu_seconds(held) > 0; }));
  ASSERT_TRUE(held.freeze());
  const auto is_frozen = [&] {
    const auto events = read_proc((held.path() / kTreeCgroup / "cgroup.events").string());
    return events && keyed_value(*events, "frozen") == 1;
  };
  ASSERT_TRUE(soon(is_frozen));
  double frozen_at = cpu_seconds(held);
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(cpu_seconds(held), frozen_at);
  kill(spinner, SIGCONT);  // takes note of it, and stays where it is
  std::this_thread::sleep_for(100ms);
  EXPECT_LT(cpu_seconds(held), frozen_at + 0.03);
  frozen_at = cpu_seconds(held);

  const pid_t init = start(held, spin);  // beside it, as the tree's init is: that goes on
  EXPECT_TRUE(soon([&] { return cpu_seconds(held) > frozen_at; }));
  kill(init, SIGKILL);
  end_of(init);
  const double without_init = cpu_seconds(held);

  ASSERT_TRUE(held.thaw());
  ASSERT_TRUE(soon([&] { return cpu_seconds(held) > without_init + 0.01; }));
  ASSERT_TRUE(held.freeze());
  held.kill();
  EXPECT_TRUE(WIFSIGNALED(end_of(spinner)));
}

TEST_F(RealCgroups, TheCpuQuotaHolds) {
  const CgroupLeaf held = leaf({.cpu_percent = 20, .weight = CgroupWeight::Idle});
  if (!tree_->has_cpu()) {
    GTEST_SKIP() << "the controller cpu is not delegated";
  }
  EXPECT_TRUE(held.holds_cpu());
  EXPECT_TRUE(held.is_idle());
  const pid_t spinner = start(held, [] {
    while (true) {
    }
    return 0;
  });
  std::this_thread::sleep_for(2s);
  EXPECT_LT(cpu_seconds(held), 1.0);  // its share is 0.4
  EXPECT_GT(held.account().throttled_seconds.value_or(0), 0);
  kill(spinner, SIGKILL);
  end_of(spinner);
}

TEST_F(RealCgroups, AWeightIsChangedWhileTheLeafLives) {
  CgroupLeaf held = leaf({});
  if (!tree_->has_cpu()) {
    EXPECT_FALSE(held.can_weigh());
    EXPECT_FALSE(held.weigh(CgroupWeight::Idle));
    GTEST_SKIP() << "the controller cpu is not delegated";
  }
  const auto has = [&](const char* file, std::string_view value) {
    const auto text = read_proc((held.path() / file).string());
    return text && text->starts_with(value);
  };
  EXPECT_TRUE(held.can_weigh());
  EXPECT_FALSE(held.is_idle());
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(held.weigh(CgroupWeight::Idle));
    EXPECT_TRUE(held.is_idle());
    EXPECT_TRUE(has("cpu.idle", "1") || has("cpu.weight", "1\n"));
    EXPECT_TRUE(held.weigh(CgroupWeight::Full));
    EXPECT_FALSE(held.is_idle());
    EXPECT_TRUE(has("cpu.weight", "100\n"));
  }
  EXPECT_TRUE(held.weigh(CgroupWeight::Idle));
  held.hurry();
  EXPECT_TRUE(has("cpu.weight", "10000\n"));
}

TEST_F(RealCgroups, ALeafIsRemovedWithWhatLivesInIt) {
  fs::path path;
  pid_t sleeper = -1;
  {
    const CgroupLeaf held = leaf({});
    path = held.path();
    sleeper = start(held, [] { return pause(); });
    EXPECT_TRUE(fs::is_directory(path));
  }
  EXPECT_FALSE(fs::exists(path));
  EXPECT_TRUE(WIFSIGNALED(end_of(sleeper)));
}

TEST_F(RealCgroups, OnlyEmptyLeavesOfADeadSupervisorAreSwept) {
  const CgroupLeaf alive = leaf({});
  const fs::path left = tree_->path() / "keisei-run-0-left";
  const fs::path populated = tree_->path() / "keisei-run-0-populated";
  const fs::path foreign = tree_->path() / "somebody-else";
  for (const fs::path& path : {left, populated, foreign}) {
    ASSERT_EQ(mkdir(path.c_str(), 0755), 0) << path;
  }
  const pid_t sleeper = fork();
  if (sleeper == 0) {
    std::ofstream(populated / "cgroup.procs") << 0 << std::flush;
    _exit(pause());
  }
  ASSERT_TRUE(soon([&] {
    const auto events = read_proc((populated / "cgroup.events").string());
    return events && keyed_value(*events, "populated") == 1;
  }));
  EXPECT_EQ(tree_->sweep(), 1);
  EXPECT_FALSE(fs::exists(left));
  EXPECT_TRUE(fs::exists(populated));
  EXPECT_TRUE(fs::exists(foreign));
  EXPECT_TRUE(fs::exists(alive.path()));
  kill(sleeper, SIGKILL);
  end_of(sleeper);
  EXPECT_TRUE(soon([&] { return rmdir(populated.c_str()) == 0; }));
  EXPECT_EQ(rmdir(foreign.c_str()), 0);
}

}  // namespace
}  // namespace keisei::os
