// What is seen of processes by somebody who has hardly a descriptor left.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "os/process_view.h"

namespace keisei::os {
namespace {

constexpr int kTrees = 4;
constexpr int kLeaves = 24;  // of each
constexpr rlim_t kFew = 64;

void leave_it_at(rlim_t descriptors) {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = descriptors;
  setrlimit(RLIMIT_NOFILE, &limit);
}

/// Goes with `parent`, also where that has gone already.
void go_with(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) {
    _exit(0);
  }
}

[[noreturn]] void stay() {
  while (true) {
    pause();
  }
}

/// A process with `kLeaves` children, each with a memfd; each tells `ready` when it is there.
pid_t fork_tree(int ready) {
  const pid_t test = getpid();
  const pid_t root = fork();
  if (root == 0) {
    go_with(test);
    const pid_t parent = getpid();
    for (int i = 0; i < kLeaves; ++i) {
      if (fork() == 0) {
        go_with(parent);
        (void)!write(memfd_create("held", 0), "held", 4);
        (void)!write(ready, "x", 1);
        close(ready);
        stay();
      }
    }
    close(ready);
    stay();
  }
  return root;
}

struct Seen {
  int members = 0;
  int with_memory = 0;
  int with_memfd = 0;
  int with_stat = 0;
};

Seen look(ProcfsView& view, pid_t root) {
  Seen seen;
  for (const pid_t pid : view.descendants(root)) {
    ++seen.members;
    const auto memory = view.memory(pid);
    seen.with_memory += memory && memory->anonymous > Bytes{} ? 1 : 0;
    seen.with_memfd += view.memory_files(pid).value_or(std::vector<MemoryFile>{}).size() == 1;
    seen.with_stat += view.stat(pid) && view.io(pid) ? 1 : 0;
  }
  return seen;
}

class WatcherOfMany {
 public:
  WatcherOfMany() {
    int ready[2];
    (void)!pipe(ready);
    for (pid_t& root : roots_) {
      root = fork_tree(ready[1]);
    }
    close(ready[1]);  // so that its end shows where a fork has failed
    char byte = 0;
    for (int i = 0; i < kTrees * kLeaves; ++i) {
      all_there_ = read(ready[0], &byte, 1) == 1 && all_there_;
    }
    close(ready[0]);
  }
  [[nodiscard]] bool all_there() const { return all_there_; }
  /// How many were not seen, or not in full, in two looks at all trees.
  int missed() {
    std::vector<std::unique_ptr<ProcfsView>> views;
    int missed = 0;
    for (int round = 0; round < 2; ++round) {
      for (int tree = 0; tree < kTrees; ++tree) {
        if (round == 0) {
          views.push_back(std::make_unique<ProcfsView>(table_));
        }
        const Seen seen = look(*views[static_cast<std::size_t>(tree)], roots_[tree]);
        missed += std::max({kLeaves - seen.members, kLeaves - seen.with_memory,
                            kLeaves - seen.with_memfd, kLeaves - seen.with_stat});
      }
    }
    blind_ = std::ranges::any_of(views, [](auto& view) { return view->out_of_descriptors(); });
    for (int others = 0; others < 64 && open("/dev/null", O_RDONLY) >= 0; ++others) {
      ++left_for_others_;
    }
    return missed;
  }
  [[nodiscard]] bool blind() const { return blind_; }
  [[nodiscard]] int left_for_others() const { return left_for_others_; }

 private:
  ProcessTable table_;
  pid_t roots_[kTrees] = {};
  bool all_there_ = true;
  bool blind_ = false;
  int left_for_others_ = 0;
};

constexpr int kMost = 250;  // an exit code has eight bits

/// The exit code of a child that does it, with no descriptors but the usual; its own children go
/// with it.
int in_a_child(const std::function<int()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    close_range(3, ~0U, 0);
    _exit(std::min(work(), kMost));
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Descriptors, ManyProcessesAreWatchedWithFewAndOthersHaveSomeToo) {
  EXPECT_EQ(in_a_child([] {
              leave_it_at(kFew);
              WatcherOfMany watcher;
              return watcher.all_there() ? watcher.missed() : kMost;
            }),
            0);
  EXPECT_GE(in_a_child([] {
              leave_it_at(kFew);
              WatcherOfMany watcher;
              (void)watcher.missed();
              return watcher.left_for_others();
            }),
            16);
}

TEST(Descriptors, ManyProcessesAreWatchedAlsoWhenOthersHaveTakenAll) {
  EXPECT_EQ(in_a_child([] {
              leave_it_at(kFew);
              WatcherOfMany watcher;
              while (open("/dev/null", O_RDONLY) >= 0) {
              }
              const int missed = watcher.missed();
              return watcher.all_there() && !watcher.blind() ? missed : kMost;
            }),
            0);
}

TEST(Descriptors, WhoCannotLookAtAllSaysSo) {
  EXPECT_EQ(in_a_child([] {
              WatcherOfMany watcher;
              leave_it_at(0);
              return watcher.missed() > 0 && watcher.blind() ? 7 : 0;
            }),
            7);
}

}  // namespace
}  // namespace keisei::os
