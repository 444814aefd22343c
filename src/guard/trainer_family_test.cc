#include "guard/trainer_family.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;

constexpr double kBurnt = 0.05;  // CPU seconds

double own_cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

[[noreturn]] void sleep_for_ever() {
  while (true) {
    pause();
  }
}

[[noreturn]] void burn_for_ever() {
  while (true) {
    asm volatile("");
  }
}

/// A process that forks a child for each byte that it is sent, and says its number when the child
/// is what it is to be:
///   w  waits           p  has a child that waits        g  is called keisei, and has such a child
///   s  has used the processor, and waits until it is let go; then it burns
/// or waits for a child («W» and its number).
class Trainer {
 public:
  Trainer() {
    EXPECT_EQ(pipe(orders_), 0);
    EXPECT_EQ(pipe(answers_), 0);
    pid = fork();
    if (pid == 0) {
      setpgid(0, 0);
      serve();
    }
    setpgid(pid, pid);
  }
  ~Trainer() { end(); }
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  void end() {
    if (pid > 0) {
      kill(-pid, SIGKILL);
      waitpid(pid, nullptr, 0);
      for (const int fd : {orders_[0], orders_[1], answers_[0], answers_[1]}) {
        close(fd);
      }
      pid = -1;
    }
  }

  pid_t make_child(char kind) {
    EXPECT_EQ(write(orders_[1], &kind, 1), 1);
    return answer();
  }
  static void let_go(pid_t child) { kill(child, SIGUSR1); }
  void wait_for(pid_t child) {
    const char kind = 'W';
    EXPECT_EQ(write(orders_[1], &kind, 1), 1);
    EXPECT_EQ(write(orders_[1], &child, sizeof child), static_cast<ssize_t>(sizeof child));
    EXPECT_EQ(answer(), child);
  }

  pid_t pid = -1;

 private:
  pid_t answer() {
    pid_t child = -1;
    EXPECT_EQ(read(answers_[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
    return child;
  }
  void tell(pid_t child) {
    if (write(answers_[1], &child, sizeof child) != static_cast<ssize_t>(sizeof child)) {
      _exit(1);
    }
  }
  [[noreturn]] void serve() {
    char kind = 0;
    while (read(orders_[0], &kind, 1) == 1) {
      if (kind == 'W') {
        pid_t child = -1;
        if (read(orders_[0], &child, sizeof child) == static_cast<ssize_t>(sizeof child)) {
          waitpid(child, nullptr, 0);
          tell(child);
        }
      } else if (fork() == 0) {
        be(kind);
      }
    }
    _exit(0);
  }
  [[noreturn]] void be(char kind) {
    if (kind == 'g') {
      prctl(PR_SET_NAME, "keisei");
    }
    if ((kind == 'g' || kind == 'p') && fork() == 0) {
      sleep_for_ever();
    }
    if (kind != 's') {
      tell(getpid());
      sleep_for_ever();
    }
    sigset_t go_on;
    sigemptyset(&go_on);
    sigaddset(&go_on, SIGUSR1);
    sigprocmask(SIG_BLOCK, &go_on, nullptr);
    while (own_cpu_seconds() < kBurnt) {
    }
    tell(getpid());
    int received = 0;
    sigwait(&go_on, &received);
    burn_for_ever();
  }

  int orders_[2] = {-1, -1};
  int answers_[2] = {-1, -1};
};

/// Kernels without CONFIG_PROC_CHILDREN name no children.
bool names_children() {
  const std::string file = "/proc/self/task/" + std::to_string(getpid()) + "/children";
  return access(file.c_str(), R_OK) == 0;
}

class TrainerFamilyTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!names_children()) {
      GTEST_SKIP() << "this kernel names no children";
    }
  }
  TrainerFamily family(pid_t guard) {
    return TrainerFamily({.trainer = trainer_.pid, .guard = guard});
  }

  Trainer trainer_;
  static constexpr MonotonicTime kNow = MonotonicTime() + 1h;
};

TEST_F(TrainerFamilyTest, IsTheTrainerAndItsDescendantsButForTheGuard) {
  const pid_t worker = trainer_.make_child('w');
  const pid_t guard = trainer_.make_child('w');
  const pid_t parent = trainer_.make_child('p');
  TrainerFamily all = family(guard);
  EXPECT_GE(all.cpu_seconds(kNow), 0);
  const std::vector<pid_t> members = all.members();
  ASSERT_EQ(members.size(), 4u);  // one of them the parent's child
  EXPECT_THAT(members, IsSupersetOf({trainer_.pid, worker, parent}));
  EXPECT_THAT(members, Not(Contains(guard)));
}

TEST_F(TrainerFamilyTest, IsWithoutAnotherGuardAndWhatRunsBelowIt) {
  const pid_t guard = trainer_.make_child('g');
  TrainerFamily all = family(getpid());
  EXPECT_GE(all.cpu_seconds(kNow), 0);
  EXPECT_THAT(all.members(), ElementsAre(trainer_.pid)) << guard;
}

TEST_F(TrainerFamilyTest, FindsNewMembersOnceASecond) {
  TrainerFamily all = family(getpid());
  EXPECT_GE(all.cpu_seconds(kNow), 0);
  const pid_t worker = trainer_.make_child('w');
  EXPECT_GE(all.cpu_seconds(kNow + 999ms), 0);
  EXPECT_THAT(all.members(), ElementsAre(trainer_.pid));
  EXPECT_GE(all.cpu_seconds(kNow + 1s), 0);
  EXPECT_THAT(all.members(), ElementsAre(trainer_.pid, worker));
}

TEST_F(TrainerFamilyTest, KeepsWhatAMemberUsedThatHasEnded) {
  TrainerFamily all = family(getpid());
  const pid_t worker = trainer_.make_child('s');  // has used the processor before it is found
  const double before = all.cpu_seconds(kNow);
  EXPECT_LT(before, kBurnt);
  trainer_.let_go(worker);
  double used = 0;
  while ((used = all.cpu_seconds(kNow)) - before < kBurnt) {
  }
  kill(worker, SIGKILL);
  trainer_.wait_for(worker);
  EXPECT_GE(all.cpu_seconds(kNow + 1s), used);
  EXPECT_THAT(all.members(), ElementsAre(trainer_.pid));
}

TEST_F(TrainerFamilyTest, IsEmptyWhenTheTrainerIsGone) {
  TrainerFamily all = family(getpid());
  const double used = all.cpu_seconds(kNow);
  trainer_.end();
  EXPECT_GE(all.cpu_seconds(kNow + 1s), used);
  EXPECT_THAT(all.members(), IsEmpty());
}

}  // namespace
}  // namespace keisei::guard
