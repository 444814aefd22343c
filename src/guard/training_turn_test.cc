#include "guard/training_turn.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace keisei::guard {
namespace {

using testing::Optional;

constexpr uid_t kNobody = 65534;

/// A process that lives until this object goes.
class Process {
 public:
  explicit Process(const std::function<void()>& what) : pid_(fork()) {
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      what();
      _exit(0);
    }
  }
  ~Process() { end(); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// At once, and reaped.
  void end() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
      pid_ = -1;
    }
  }

 private:
  pid_t pid_;
};

void sleep_for_ever() {
  while (true) {
    pause();
  }
}

/// A guard in a process of its own, which tries to take the turn whenever it is told to.
class OtherGuard {
 public:
  explicit OtherGuard(const TrainingTurn::Training& training, uid_t user = 0) {
    EXPECT_EQ(pipe(orders_), 0);
    EXPECT_EQ(pipe(answers_), 0);
    process_ = std::make_unique<Process>([&] { serve(training, user); });
  }
  ~OtherGuard() {
    for (const int fd : {orders_[0], orders_[1], answers_[0], answers_[1]}) {
      close(fd);
    }
  }
  OtherGuard(const OtherGuard&) = delete;
  OtherGuard& operator=(const OtherGuard&) = delete;

  /// 'y': it has the turn, 'n': it has not, 'f': it cannot have it.
  char take() {
    char answer = '?';
    EXPECT_EQ(write(orders_[1], "t", 1), 1);
    EXPECT_EQ(read(answers_[0], &answer, 1), 1);
    return answer;
  }
  void end() { process_->end(); }
  [[nodiscard]] pid_t pid() const { return process_->pid(); }

 private:
  void serve(const TrainingTurn::Training& training, uid_t user) const {
    if (user != 0 && (setgid(user) != 0 || setuid(user) != 0)) {
      _exit(1);
    }
    Result<TrainingTurn> turn = TrainingTurn::of(training);
    char order = 0;
    while (read(orders_[0], &order, 1) == 1) {
      const Result<bool> ours = turn ? turn->take() : Result<bool>(fail("none"));
      const char answer = !ours ? 'f' : *ours ? 'y' : 'n';
      (void)!write(answers_[1], &answer, 1);
    }
  }

  int orders_[2];
  int answers_[2];
  std::unique_ptr<Process> process_;
};

class TrainingTurnTest : public testing::Test {
 protected:
  TrainingTurnTest()
      : directory_(open(("/proc/" + std::to_string(trainer_.pid())).c_str(),
                        O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
        progress_(memfd_create("progress", MFD_CLOEXEC)) {
    EXPECT_EQ(fchmod(progress_.get(), 0644), 0);
  }
  [[nodiscard]] TrainingTurn::Training process() const { return {.process = directory_.get()}; }
  [[nodiscard]] TrainingTurn::Training file() const { return {.progress = progress_.get()}; }
  [[nodiscard]] TrainingTurn::Training both() const {
    return {.process = directory_.get(), .progress = progress_.get()};
  }

  Process trainer_{sleep_for_ever};
  UniqueFd directory_;
  UniqueFd progress_;
};

TEST_F(TrainingTurnTest, IsOnesUntilItGoesHoweverTheyCameToTheTraining) {
  OtherGuard first(both());
  EXPECT_EQ(first.take(), 'y');
  TrainingTurn second = TrainingTurn::of(process()).value();
  EXPECT_THAT(second.take(), Optional(false));
  EXPECT_THAT(second.holder(), Optional(first.pid()));
  EXPECT_THAT(second.take(), Optional(false));
  first.end();
  EXPECT_THAT(second.take(), Optional(true));
  OtherGuard third(both());
  EXPECT_EQ(third.take(), 'n');
}

TEST_F(TrainingTurnTest, GoesToThemInTheOrderInWhichTheyCame) {
  OtherGuard first(process());
  OtherGuard second(process());
  OtherGuard third(process());
  OtherGuard fourth(process());
  EXPECT_EQ(first.take(), 'y');
  EXPECT_EQ(second.take(), 'n');
  EXPECT_EQ(third.take(), 'n');
  EXPECT_EQ(fourth.take(), 'n');
  second.end();  // whoever dies in the queue holds nobody up
  first.end();
  EXPECT_EQ(fourth.take(), 'n');
  EXPECT_EQ(third.take(), 'y');
  EXPECT_EQ(fourth.take(), 'n');
  third.end();
  EXPECT_EQ(fourth.take(), 'y');
}

TEST_F(TrainingTurnTest, OfAnotherTrainingIsAnother) {
  OtherGuard first(process());
  EXPECT_EQ(first.take(), 'y');
  const Process other(sleep_for_ever);
  const UniqueFd directory(
      open(("/proc/" + std::to_string(other.pid())).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_THAT(TrainingTurn::of({.process = directory.get()}).value().take(), Optional(true));
}

TEST_F(TrainingTurnTest, OfAnUnknownTrainerIsThatOfItsFileAndComesAfterWhoeverKnowsIt) {
  OtherGuard knows(both());
  EXPECT_EQ(knows.take(), 'y');
  OtherGuard stranger(file());
  EXPECT_EQ(stranger.take(), 'n');
  knows.end();
  EXPECT_EQ(stranger.take(), 'y');
  OtherGuard second_stranger(file());
  EXPECT_EQ(second_stranger.take(), 'n');
}

TEST_F(TrainingTurnTest, CannotBeTakenByAnotherUserWhoReadsTheFile) {
  if (getuid() != 0) {
    GTEST_SKIP() << "only root can be two users";
  }
  OtherGuard nobody(process(), kNobody);
  EXPECT_EQ(nobody.take(), 'f');
  OtherGuard reads_the_file(both(), kNobody);
  EXPECT_EQ(reads_the_file.take(), 'y') << "of the file";
  EXPECT_THAT(TrainingTurn::of(both()).value().take(), Optional(true));
}

TEST_F(TrainingTurnTest, TellsWhoSupervisesTheTraining) {
  TrainingTurn turn = TrainingTurn::of(process()).value();
  EXPECT_EQ(turn.supervisor(), std::nullopt);
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  Process supervisor([&] {
    const auto mark = mark_supervised(trainer_.pid());
    (void)!write(ready[1], mark ? "y" : "n", 1);
    sleep_for_ever();
  });
  char marked = 0;
  ASSERT_EQ(read(ready[0], &marked, 1), 1);
  EXPECT_EQ(marked, 'y');
  EXPECT_THAT(turn.supervisor(), Optional(supervisor.pid()));
  EXPECT_FALSE(mark_supervised(trainer_.pid()));
  supervisor.end();
  EXPECT_EQ(turn.supervisor(), std::nullopt);
  close(ready[0]);
  close(ready[1]);
}

}  // namespace
}  // namespace keisei::guard
