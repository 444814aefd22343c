#include "guard/heartbeat.h"

#include <gtest/gtest.h>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using telemetry::Phase;
using State = HeartbeatJudge::State;

constexpr milliseconds kLook = 100ms;

/// A trainer and its watcher on one invented clock.
class Heartbeat : public testing::Test {
 protected:
  State look(milliseconds step = kLook) {
    now_ += step;
    return judge_.observe(reading_, now_);
  }
  /// Ticks once in `phase`, then is looked at until `gap` is over.
  State work(Phase phase, milliseconds gap = kLook) {
    reading_.phase = phase;
    ++reading_.ticks;
    State state = State::Unknown;
    for (milliseconds passed{0}; passed < gap; passed += kLook) {
      state = look();
    }
    return state;
  }
  /// Two whole cycles, each phase with ticks `gap` apart.
  void train(milliseconds gap = kLook) {
    for (int cycle = 0; cycle < 2; ++cycle) {
      for (const Phase phase :
           {Phase::RolloutEnvironment, Phase::RolloutInference, Phase::Update, Phase::Update}) {
        EXPECT_EQ(work(phase, gap), State::Beating);
      }
    }
    work(Phase::RolloutEnvironment, gap);
  }
  /// How long it is silent from its last tick until it is judged to be.
  milliseconds until_silent() {
    milliseconds passed{0};
    while (judge_.state() != State::Silent && passed < 1h) {
      look();
      passed += kLook;
    }
    return passed;
  }

  MonotonicTime now_{1h};
  telemetry::StepClockReading reading_;
  HeartbeatJudge judge_;
};

TEST_F(Heartbeat, ATrainerThatStartsUpIsNotJudged) {
  for (int i = 0; i < 6000; ++i) {
    EXPECT_EQ(look(), State::Unknown);
  }
}

TEST_F(Heartbeat, SilenceOfAQuickTrainerIsClearAfterOneAndAHalfSeconds) {
  train();
  const milliseconds silent = until_silent();
  EXPECT_GT(silent, 1500ms);
  EXPECT_LE(silent, 1700ms);
}

TEST_F(Heartbeat, ASlowTrainerHasTwentyTimesItsLongestGap) {
  train(2000ms);
  EXPECT_EQ(judge_.limit(), 20 * 1900ms);  // from the first look at a tick to the last before it
  EXPECT_GT(until_silent(), 35s);
}

TEST_F(Heartbeat, ATrainingThatWasNotSeenThroughACycleHasAMinute) {
  work(Phase::RolloutEnvironment);
  EXPECT_EQ(work(Phase::Update, 20s), State::Beating);  // its first minibatch may take long
  work(Phase::RolloutEnvironment);
  EXPECT_GT(until_silent(), 60s);
}

TEST_F(Heartbeat, ACheckpointMayTakeLongAndTeachesNothing) {
  train();
  EXPECT_EQ(work(Phase::Checkpoint, 30s), State::Beating);
  work(Phase::RolloutEnvironment);
  EXPECT_LE(until_silent(), 1700ms);
}

TEST_F(Heartbeat, AnIdleTrainerOwesNoProgress) {
  train();
  EXPECT_EQ(work(Phase::Idle, 600s), State::Beating);
}

TEST_F(Heartbeat, ASilenceThatWasNoHangIsNotTakenForOneAgain) {
  train();
  EXPECT_EQ(work(Phase::Update, 4s), State::Silent);
  EXPECT_EQ(work(Phase::Update), State::Beating);
  for (int again = 0; again < 3; ++again) {
    EXPECT_EQ(work(Phase::Update, 5s), State::Beating);
    EXPECT_EQ(work(Phase::RolloutEnvironment), State::Beating);
  }
}

/// A checkpoint that took two minutes says nothing about a rollout.
TEST_F(Heartbeat, ASilenceOfALongPhaseTeachesNothing) {
  train();
  EXPECT_EQ(work(Phase::Checkpoint, 2min), State::Silent);
  EXPECT_EQ(work(Phase::RolloutEnvironment), State::Beating);
  EXPECT_EQ(work(Phase::Update), State::Beating);
  EXPECT_LT(until_silent(), 10s);
}

/// Somebody stopped it for the night, say.
TEST_F(Heartbeat, AnEndlessSilenceThatEndedTeachesAMinuteAtMost) {
  train();
  EXPECT_EQ(work(Phase::Update, 1h), State::Silent);
  EXPECT_EQ(work(Phase::Update), State::Beating);
  const milliseconds silent = until_silent();
  EXPECT_GT(silent, 60s);
  EXPECT_LE(silent, 61s);
}

TEST_F(Heartbeat, OnlyWatchedSilenceCounts) {
  train();
  work(Phase::Update);
  EXPECT_EQ(look(1h), State::Beating);  // the watcher itself was stopped
  EXPECT_EQ(look(1h), State::Beating);
}

}  // namespace
}  // namespace keisei::guard
