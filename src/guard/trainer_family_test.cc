#include "guard/trainer_family.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

constexpr double kBurnt = 0.2;  // CPU seconds

double own_cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// A process that forks a child for each byte that it is sent, and says its number: one that waits
/// («w»), or one that burns and is waited for («b»).
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
    pid_t child = -1;
    EXPECT_EQ(read(answers_[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
    return child;
  }

  pid_t pid = -1;

 private:
  [[noreturn]] void serve() {
    char kind = 0;
    while (read(orders_[0], &kind, 1) == 1) {
      const pid_t child = fork();
      if (child == 0) {
        while (kind == 'w' || own_cpu_seconds() < kBurnt) {
          if (kind == 'w') {
            pause();
          }
        }
        _exit(0);
      }
      if (kind == 'b') {
        waitpid(child, nullptr, 0);
      }
      if (write(answers_[1], &child, sizeof child) != static_cast<ssize_t>(sizeof child)) {
        break;
      }
    }
    _exit(0);
  }

  int orders_[2] = {-1, -1};
  int answers_[2] = {-1, -1};
};

TEST(TrainerFamily, IsTheTrainerAndItsDescendantsButForTheGuard) {
  Trainer trainer;
  const pid_t worker = trainer.make_child('w');
  const pid_t guard = trainer.make_child('w');
  TrainerFamily family(trainer.pid, guard);
  EXPECT_TRUE(family.cpu_seconds(MonotonicTime() + 1h));
  EXPECT_THAT(family.members(), ElementsAre(trainer.pid, worker));
}

TEST(TrainerFamily, FindsNewMembersOnceASecond) {
  Trainer trainer;
  TrainerFamily family(trainer.pid, getpid());
  ASSERT_TRUE(family.cpu_seconds(MonotonicTime() + 1h));
  const pid_t worker = trainer.make_child('w');
  ASSERT_TRUE(family.cpu_seconds(MonotonicTime() + 1h + 999ms));
  EXPECT_THAT(family.members(), ElementsAre(trainer.pid));
  ASSERT_TRUE(family.cpu_seconds(MonotonicTime() + 1h + 1s));
  EXPECT_THAT(family.members(), UnorderedElementsAre(trainer.pid, worker));
}

TEST(TrainerFamily, CountsWhatAChildDidThatHasEnded) {
  Trainer trainer;
  TrainerFamily family(trainer.pid, getpid());
  const double before = family.cpu_seconds(MonotonicTime() + 1h).value();
  trainer.make_child('b');
  EXPECT_GT(family.cpu_seconds(MonotonicTime() + 1h).value() - before, kBurnt / 2);
}

TEST(TrainerFamily, TellsNothingOfATrainerThatIsGone) {
  Trainer trainer;
  TrainerFamily family(trainer.pid, getpid());
  trainer.end();
  EXPECT_FALSE(family.cpu_seconds(MonotonicTime() + 1h));
}

}  // namespace
}  // namespace keisei::guard
