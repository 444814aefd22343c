#include "guard/impact_controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;
using telemetry::FrameRecord;
using telemetry::Phase;
using testing::Contains;
using testing::Key;

/// A training on a clock of its own that loses a share of its rate while evaluations run, and what
/// watches it.
class World {
 public:
  double burst_loss = 0.5;
  double slack_loss = 0.02;
  double load_loss = 0.5;
  bool lies = false;  // it reports the progress that it makes when nothing is beside it
  double step_s = 0.005;
  int demand = 1;
  bool waiting = false;
  bool unpaced = false;
  bool can_slack = true;
  bool ticks = true;
  bool readable = true;
  bool stalled = false;
  std::chrono::seconds ahead{0};  // of our clock
  double burst_cpu = 1;           // CPUs that evaluations use
  double stopped_cpu = 0;         // the same while they are told to stand still
  double watching = 0;            // CPUs of whoever watches
  std::function<double()> others = [] { return 0.0; };  // CPUs

  explicit World(std::uint64_t seed = 7) : controller({.limit = 0.05, .seed = seed}) {
    now_ += 1h;
    tick();
  }

  /// Goes on for `length` seconds.
  void go_on(double length) {
    const MonotonicTime end = now_ + seconds_of(length);
    while (now_ < end) {
      if (now_ >= order.look_again) {
        look();
      }
      step();
    }
  }

  void look() {
    telemetry::StepClockReading progress = progress_;
    progress.time += ahead;
    order = controller.observe({.now = now_,
                                .progress = readable ? std::optional(progress) : std::nullopt,
                                .demand = demand,
                                .waiting = waiting,
                                .unpaced = unpaced,
                                .own_cpu = own_cpu_,
                                .trainer_cpu = trainer_cpu_,
                                .others_cpu = others_cpu_,
                                .watching_cpu = watching * passed_s,
                                .can_slack = can_slack});
    for (FrameRecord& frame : controller.take_frames()) {
      frames.push_back(std::move(frame));
    }
  }

  void finish() {
    controller.finish({.now = now_, .progress = progress_});
    for (FrameRecord& frame : controller.take_frames()) {
      frames.push_back(std::move(frame));
    }
  }

  void set_back_units() { units_ -= 500'000; }

  ImpactController controller;
  ImpactOrder order;
  std::vector<FrameRecord> frames;
  double trained_s = 0;  // what was done, in seconds of a training that nothing slows down
  double passed_s = 0;
  double ran_s = 0;
  double loaded_s = 0;  // in which the load ran
  bool both_ran = false;

 private:
  static std::chrono::nanoseconds seconds_of(double value) {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(value * 1e9));
  }
  void step() {
    const bool running = order.run && demand > 0;
    const double loss = order.load ? load_loss
                        : running  ? (order.burst ? burst_loss : slack_loss)
                                   : 0;
    const double took = lies ? step_s : step_s / (1 - loss);
    trainer_cpu_ += took * (1 - loss);
    loaded_s += order.load ? took : 0;
    both_ran |= order.load && order.run;
    now_ += seconds_of(took);
    passed_s += took;
    trained_s += step_s;
    ran_s += running ? took : 0;
    own_cpu_ += took * (order.load ? 2 : running ? burst_cpu : demand > 0 ? stopped_cpu : 0);
    others_cpu_ += took * others();
    if (stalled) {
      return;
    }
    units_ += 32;
    if (ticks) {
      tick();
    }
  }
  void tick() {
    telemetry::PhaseTotal& total =
        progress_.phases[static_cast<std::size_t>(Phase::RolloutInference)];
    if (progress_.ticks > 0) {
      total.ticks += 1;
      total.units += units_ > progress_.units ? units_ - progress_.units : 0;
      total.time += now_ - progress_.time;
    }
    progress_.phase = Phase::RolloutInference;
    progress_.ticks += 1;
    progress_.units = units_;
    progress_.time = now_;
  }

  MonotonicTime now_;
  telemetry::StepClockReading progress_;
  std::uint64_t units_ = 1'000'000;
  double own_cpu_ = 0;
  double trainer_cpu_ = 0;
  double others_cpu_ = 0;
};

double true_loss(const World& world) { return 1 - world.trained_s / world.passed_s; }

TEST(ImpactController, KeepsTheLossBelowTheLimitWhereAnEvaluationAsksWithoutAPause) {
  World world;
  world.can_slack = false;
  for (int i = 0; i < 60; ++i) {
    world.go_on(10);
    EXPECT_LT(true_loss(world), 0.05) << "after " << world.passed_s << " s";
  }
  const ImpactEstimate estimate = world.controller.impact().estimate();
  EXPECT_EQ(estimate.verdict, ImpactVerdict::Within);
  EXPECT_NEAR(estimate.while_running.estimate, 0.5, 0.02);
  EXPECT_GE(estimate.amortised.upper, true_loss(world));
  EXPECT_GT(true_loss(world), 0.025);  // and what may be lost is used
}

TEST(ImpactController, GoesToTheSlackClassWhenTheCreditIsUsedUp) {
  World world;
  world.go_on(120);
  std::set<bool> weights;
  for (const FrameRecord& frame : world.frames) {
    if (frame.setting == setting::kOn && frame.running) {
      weights.insert(frame.burst);
    }
  }
  EXPECT_EQ(weights.size(), 2u);
  EXPECT_LT(true_loss(world), 0.05);
}

TEST(ImpactController, LetsAnEvaluationThatCostsNothingHaveNineTenthsOfTheTime) {
  World world;
  world.burst_loss = 0;
  world.slack_loss = 0;
  world.go_on(300);
  const double before = world.ran_s;
  world.go_on(300);
  EXPECT_GT(world.ran_s - before, 270);
  EXPECT_EQ(world.controller.impact().estimate().verdict, ImpactVerdict::Within);
}

TEST(ImpactController, LetsNothingRunBeforeItIsEarned) {
  World world;
  world.go_on(4);
  EXPECT_EQ(world.ran_s, 0);
  world.go_on(6);
  EXPECT_GT(world.ran_s, 0);
}

TEST(ImpactController, StopsEvaluationsOnASilenceOfTheTraining) {
  World world;
  world.burst_loss = 0;
  world.go_on(30);
  while (!world.order.run) {
    world.go_on(0.05);
  }
  world.ticks = false;
  world.go_on(0.6);
  EXPECT_FALSE(world.order.run);
}

TEST(ImpactController, FallsBackToTimeAloneWithoutProgress) {
  World world;
  world.readable = false;
  world.go_on(600);
  EXPECT_LT(world.ran_s / world.passed_s, 0.05);
  EXPECT_GT(world.ran_s / world.passed_s, 0.03);
  const ImpactEstimate estimate = world.controller.impact().estimate();
  EXPECT_EQ(estimate.verdict, ImpactVerdict::Unproven);
  EXPECT_THAT(estimate.reason, testing::HasSubstr("no progress"));
}

TEST(ImpactController, DiscardsFramesInWhichProgressWentBackOrDoesNotAddUp) {
  World world;
  world.go_on(20);
  world.set_back_units();
  world.go_on(5);
  EXPECT_THAT(world.controller.impact().estimate().discarded, Contains(Key("progress went back")));
}

TEST(ImpactController, DiscardsFramesThatOthersDisturb) {
  World world;
  world.burst_loss = 0;
  world.go_on(20);
  int calls = 0;
  world.others = [&calls] { return ++calls % 400 < 40 ? 1.0 : 0.0; };
  world.go_on(20);
  EXPECT_THAT(world.controller.impact().estimate().discarded,
              Contains(Key("disturbed by other processes")));
}

TEST(ImpactController, CountsHoldOutsInWhichAnEvaluationWentOn) {
  World world;
  world.burst_loss = 0;
  world.go_on(20);
  EXPECT_EQ(world.controller.not_stopped_in_a_row(), 0);
  world.stopped_cpu = 1;
  world.go_on(20);
  EXPECT_GT(world.controller.not_stopped_in_a_row(), 3);
}

TEST(ImpactController, RunsANegativeControlWhileNobodyAsks) {
  World world;
  world.demand = 0;
  world.go_on(60);
  const ImpactEstimate estimate = world.controller.impact().estimate();
  EXPECT_EQ(estimate.control_blocks, 100);
  EXPECT_LT(estimate.negative_control.lower, 0);
  EXPECT_GT(estimate.negative_control.upper, 0);
  EXPECT_EQ(estimate.running_s, 0);
  EXPECT_EQ(world.ran_s, 0);
}

TEST(ImpactController, DrawsTheSameHoldOutsFromTheSameSeedOnly) {
  const auto settings = [](std::uint64_t seed) {
    World world(seed);
    world.go_on(60);
    std::string all;
    for (const FrameRecord& frame : world.frames) {
      all += frame.setting.substr(0, 2);
    }
    return all;
  };
  EXPECT_EQ(settings(1), settings(1));
  EXPECT_NE(settings(1), settings(2));
}

TEST(ImpactController, FramesFollowEachOtherWithoutAGap) {
  World world;
  world.go_on(60);
  for (std::size_t i = 1; i < world.frames.size(); ++i) {
    EXPECT_EQ(world.frames[i].begin_ns, world.frames[i - 1].end_ns);
    EXPECT_EQ(world.frames[i].number, world.frames[i - 1].number + 1);
  }
}

TEST(ImpactController, FramesAreASlowTrainingsSteps) {
  World world;
  world.step_s = 0.25;
  world.burst_loss = 0.1;
  world.go_on(600);
  EXPECT_LT(true_loss(world), 0.05);
  EXPECT_GT(world.controller.impact().estimate().blocks, 10);
}

TEST(ImpactController, AVerySlowTrainingGetsItsEvaluationsToo) {
  World world;
  world.step_s = 3;
  world.burst_loss = 0.1;
  world.go_on(3000);
  EXPECT_GT(world.ran_s, 10);
  EXPECT_LT(true_loss(world), 0.05);
}

/// Whoever stalls the training is charged for the stall, and the stall is no reference.
TEST(ImpactController, ChargesAStallToTheEvaluationThatRanBeforeIt) {
  World world;
  world.burst_loss = 0;
  world.go_on(120);
  const double before = world.controller.impact().estimate().lost_s_upper;
  while (!world.order.run) {
    world.go_on(0.01);
  }
  world.go_on(0.06);
  world.stalled = true;
  world.go_on(0.9);
  world.stalled = false;
  world.go_on(0.3);
  EXPECT_GT(world.controller.impact().estimate().lost_s_upper - before, 0.25);
}

TEST(ImpactController, TakesHoldOutsOnlyWhereSomebodyWantsToRun) {
  World world;
  world.burst_loss = 0;
  world.go_on(60);
  world.demand = 0;
  world.go_on(1);
  world.frames.clear();
  world.go_on(10);
  for (const FrameRecord& frame : world.frames) {
    EXPECT_TRUE(!frame.control.empty() || frame.setting != setting::kOff) << frame.number;
  }
}

TEST(ImpactController, SeesTheLoadOfThePositiveControlAndChargesIt) {
  World world;
  world.demand = 0;
  world.go_on(119);
  EXPECT_EQ(world.loaded_s, 0);
  world.go_on(481);
  const ImpactEstimate estimate = world.controller.impact().estimate();
  EXPECT_TRUE(estimate.positive_control.detected());
  EXPECT_NEAR(estimate.positive_control.loss.estimate, 0.5, 0.02);
  EXPECT_NEAR(estimate.positive_control.load_cpus, 2, 0.1);
  EXPECT_NEAR(estimate.positive_control.trainer_cpu_loss.value(), 0.5, 0.05);
  EXPECT_GT(estimate.lost_s_upper, (1 - world.trained_s / world.passed_s) * 600 - 0.01);
  EXPECT_EQ(estimate.verdict, ImpactVerdict::Within);
  const double loaded = world.loaded_s;
  world.go_on(600);
  EXPECT_EQ(world.loaded_s, loaded);
}

TEST(ImpactController, TheLoadStandsBackAndNeverRunsWithAnEvaluation) {
  World world;
  world.burst_loss = 0;
  for (int i = 0; i < 3000; ++i) {
    world.demand = world.order.load || i % 50 < 10 ? 1 : 0;
    world.go_on(0.13);
  }
  EXPECT_GT(world.loaded_s, 0);
  EXPECT_FALSE(world.both_ran);
  EXPECT_LT(true_loss(world), 0.05);
}

TEST(ImpactController, TheLoadNeverSpendsWhatAnEvaluationSavesNorRunsUnseen) {
  for (const auto hinder :
       {+[](World& world) { world.waiting = true; }, +[](World& world) { world.unpaced = true; },
        +[](World& world) { world.readable = false; }}) {
    World world;
    world.demand = 0;
    while (!world.order.load) {
      world.go_on(0.01);
    }
    hinder(world);
    world.go_on(1);
    const double loaded = world.loaded_s;
    world.go_on(150);
    EXPECT_EQ(world.loaded_s, loaded);
  }
}

TEST(ImpactController, ControlsRunWhereEvaluationsAskWithoutAPause) {
  for (const double burst_loss : {0.5, 0.02}) {
    World world;
    world.burst_loss = burst_loss;
    world.can_slack = false;
    world.go_on(600);
    const ImpactEstimate estimate = world.controller.impact().estimate();
    EXPECT_GE(estimate.control_blocks, 20) << burst_loss;
    EXPECT_TRUE(estimate.positive_control.detected()) << burst_loss;
    EXPECT_EQ(estimate.verdict, ImpactVerdict::Within) << burst_loss;
    EXPECT_FALSE(world.both_ran);
    EXPECT_LT(true_loss(world), 0.05);
    EXPECT_GT(world.ran_s, 10);
  }
}

TEST(ImpactController, TheLoadGivesUpWhereItsBlocksComeToNothing) {
  World world;
  world.demand = 0;
  world.others = [&world] { return world.order.load ? 0.0 : 0.5; };  // it takes it from them
  world.go_on(3000);
  const double loaded = world.loaded_s;
  EXPECT_GT(loaded, 1);
  world.go_on(600);
  EXPECT_EQ(world.loaded_s, loaded);
}

TEST(ImpactController, TheLoadLeavesTheClassOfAnOpenBlockAlone) {
  World world;
  world.burst_loss = 0.5;
  for (int i = 0; i < 3000; ++i) {
    world.demand = world.order.load || i % 50 < 10 ? 1 : 0;
    world.go_on(0.13);
  }
  std::map<std::int64_t, std::set<bool>> classes;
  for (const FrameRecord& frame : world.frames) {
    if (frame.setting == setting::kOn && frame.control.empty()) {
      classes[frame.block].insert(frame.burst);
    }
  }
  EXPECT_GT(world.loaded_s, 0);
  for (const auto& [block, bursts] : classes) {
    EXPECT_EQ(bursts.size(), 1) << block;
  }
}

TEST(ImpactController, WhoReportsNoLossBesideTheLoadProvesNothing) {
  World liar;
  liar.demand = 0;
  liar.lies = true;
  liar.go_on(600);
  const ImpactEstimate estimate = liar.controller.impact().estimate();
  EXPECT_EQ(estimate.verdict, ImpactVerdict::Unproven);
  EXPECT_THAT(estimate.reason, testing::HasSubstr("progress does not measure its work"));
}

TEST(ImpactController, ALoadOnIdleProcessorsCostsNothingAndProvesNoLie) {
  World world;
  world.demand = 0;
  world.load_loss = 0;
  world.go_on(600);
  const ImpactEstimate estimate = world.controller.impact().estimate();
  EXPECT_EQ(estimate.positive_control.blocks, PositiveControl::kMostBlocks);
  EXPECT_FALSE(estimate.positive_control.detected());
  EXPECT_EQ(estimate.verdict, ImpactVerdict::Within);
}

TEST(ImpactController, ChargesWhatWatchingTakes) {
  World world;
  world.burst_loss = 0;
  world.watching = 0.01;
  world.go_on(600);
  const ImpactEstimate estimate = world.controller.impact().estimate();
  EXPECT_NEAR(estimate.watching_s, 6, 0.1);
  EXPECT_GT(estimate.amortised.upper, 0.01);
  EXPECT_EQ(estimate.verdict, ImpactVerdict::Within);
  EXPECT_GT(world.ran_s, 300);
}

TEST(ImpactController, WhereWatchingAloneTakesTheBudgetNothingRuns) {
  World world;
  world.burst_loss = 0;
  world.watching = 0.05;
  world.go_on(600);
  EXPECT_EQ(world.ran_s, 0);
}

TEST(ImpactController, WatchingAgainAfterAnEndBeginsWithoutAnEvaluation) {
  World world;
  while (!world.order.run) {
    world.go_on(0.01);
  }
  world.finish();
  world.frames.clear();
  world.look();
  EXPECT_FALSE(world.order.run);
  world.go_on(1);
  ASSERT_FALSE(world.frames.empty());
  EXPECT_FALSE(world.frames.front().running);
}

TEST(ImpactController, FinishingEndsTheFrameAtWork) {
  World world;
  world.demand = 0;
  world.go_on(3.3);
  const std::size_t frames = world.frames.size();
  world.finish();
  ASSERT_EQ(world.frames.size(), frames + 1);
  EXPECT_NEAR(world.controller.impact().estimate().training_s, 3.3, 0.02);
}

TEST(ImpactController, BelievesNoClockThatIsAhead) {
  World world;
  world.ahead = 3600s;
  world.go_on(120);
  EXPECT_LT(true_loss(world), 0.05);
  EXPECT_NE(world.controller.impact().estimate().verdict, ImpactVerdict::Exceeded);
}

}  // namespace
}  // namespace keisei::guard
