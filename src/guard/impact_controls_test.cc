#include "guard/impact_controls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <utility>

#include "guard/impact_world.h"

namespace keisei::guard {
namespace {

using telemetry::FrameRecord;
using testing_support::true_loss;
using testing_support::World;

TEST(ImpactControls, RunsANegativeControlWhileNobodyAsks) {
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

TEST(ImpactControls, TakesHoldOutsOnlyWhereSomebodyWantsToRun) {
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

TEST(ImpactControls, SeesTheLoadOfThePositiveControlAndChargesIt) {
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

TEST(ImpactControls, TheLoadStandsBackAndNeverRunsWithAnEvaluation) {
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

TEST(ImpactControls, TheLoadNeverSpendsWhatAnEvaluationSavesNorRunsUnseen) {
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

TEST(ImpactControls, RunWhereEvaluationsAreAskedForWithoutAPause) {
  for (const double burst_loss : {0.5, 0.02}) {
    World world;
    world.burst_loss = burst_loss;
    world.ask_again_and_again(900);
    const ImpactEstimate estimate = world.controller.impact().estimate();
    EXPECT_GE(estimate.control_blocks, 20) << burst_loss;
    EXPECT_TRUE(estimate.positive_control.detected()) << burst_loss;
    EXPECT_EQ(estimate.verdict, ImpactVerdict::Within) << burst_loss;
    EXPECT_FALSE(world.both_ran);
    EXPECT_LT(true_loss(world), 0.05);
  }
}

TEST(ImpactControls, OneBlockOfTheLoadComesBetweenTwoEvaluationsAtMost) {
  World world;
  world.load_loss = 0;  // so that it is tried to the end
  world.ask_again_and_again(300);
  const int before = world.evaluations;
  world.ask_again_and_again(100);
  EXPECT_GT(world.loaded_s, 0.2);
  EXPECT_LT(world.loaded_s, 0.35 * (world.evaluations - before + 1));
}

TEST(ImpactControls, BetweenEvaluationsTheLoadsBlocksAreAMinuteApartAfterTheFirst) {
  World world;
  world.burst_loss = 0;
  world.load_loss = 0;
  world.ask_again_and_again(119);
  EXPECT_EQ(world.loaded_s, 0);
  std::set<std::int64_t> blocks;
  world.frames.clear();
  world.ask_again_and_again(180);
  for (const FrameRecord& frame : world.frames) {
    if (frame.control == control::kLoad && frame.block > 0) {
      blocks.insert(frame.block);
    }
  }
  EXPECT_GE(blocks.size(), 8U);
  EXPECT_LE(blocks.size(), 9U);
}

TEST(ImpactControls, WhereCreditIsScarceTheLoadComesBetweenEvaluationsAfterFiveMinutes) {
  World world;
  world.burst_loss = 0.5;
  world.ask_again_and_again(299);
  EXPECT_EQ(world.loaded_s, 0);
  world.ask_again_and_again(100);
  EXPECT_GT(world.loaded_s, 0);
}

TEST(ImpactControls, ABlockOfTheLoadIsCompleteWhereverItsHoldOutLies) {
  World world;
  world.burst_loss = 0;
  world.load_loss = 0;
  world.ask_again_and_again(900);
  const PositiveControl control = world.controller.impact().estimate().positive_control;
  EXPECT_GE(control.attempts, 12);
  EXPECT_EQ(control.blocks, control.attempts);
}

TEST(ImpactControls, WhoReportsNoLossBesideTheLoadIsFoundOutSoonWhereEvaluationsWaitToo) {
  World liar;
  liar.lies = true;
  liar.burst_loss = 0.02;
  liar.ask_again_and_again(600);
  const ImpactEstimate estimate = liar.controller.impact().estimate();
  EXPECT_EQ(estimate.verdict, ImpactVerdict::Unproven);
  EXPECT_THAT(estimate.reason, testing::HasSubstr("progress does not measure its work"));
}

TEST(ImpactControls, NoEvaluationRunsInAFrameOfTheLoad) {
  World world;
  world.burst_loss = 0.02;
  world.demand = 1;
  world.go_on(400);
  world.ask_again_and_again(200);
  double loaded_s = 0;
  for (const FrameRecord& frame : world.frames) {
    const bool on = frame.control == control::kLoad && frame.setting == setting::kOn;
    loaded_s += on ? static_cast<double>(frame.end_ns - frame.begin_ns) * 1e-9 : 0;
  }
  EXPECT_GT(loaded_s, 0);
  EXPECT_LE(loaded_s, world.loaded_s);
}

TEST(ImpactControls, TheLoadGivesUpWhereItsBlocksComeToNothing) {
  World world;
  world.demand = 0;
  world.others = [&world] { return world.order.load ? 0.0 : 0.5; };  // it takes it from them
  world.go_on(3000);
  const double loaded = world.loaded_s;
  EXPECT_GT(loaded, 1);
  world.go_on(600);
  EXPECT_EQ(world.loaded_s, loaded);
}

TEST(ImpactControls, TheLoadLeavesTheClassOfAnOpenBlockAlone) {
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

TEST(ImpactControls, WhoReportsNoLossBesideTheLoadProvesNothing) {
  World liar;
  liar.demand = 0;
  liar.lies = true;
  liar.go_on(600);
  const ImpactEstimate estimate = liar.controller.impact().estimate();
  EXPECT_EQ(estimate.verdict, ImpactVerdict::Unproven);
  EXPECT_THAT(estimate.reason, testing::HasSubstr("progress does not measure its work"));
}

TEST(ImpactControls, ALoadOnIdleProcessorsCostsNothingAndProvesNoLie) {
  World world;
  world.demand = 0;
  world.load_loss = 0;
  world.go_on(600);
  const ImpactEstimate estimate = world.controller.impact().estimate();
  EXPECT_EQ(estimate.positive_control.blocks, PositiveControl::kMostBlocks);
  EXPECT_FALSE(estimate.positive_control.detected());
  EXPECT_EQ(estimate.verdict, ImpactVerdict::Within);
}

}  // namespace
}  // namespace keisei::guard
