#include "guard/impact_controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "guard/impact_world.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;
using telemetry::FrameRecord;
using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing_support::true_loss;
using testing_support::World;

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
  EXPECT_FALSE(world.controller.evaluations_go_on());
  world.stopped_cpu = [] { return 1.0; };
  world.go_on(20);
  EXPECT_TRUE(world.controller.evaluations_go_on());
}

TEST(ImpactController, SeesThatAnEvaluationGoesOnNowAndThen) {
  World world;
  world.burst_loss = 0;
  world.go_on(20);
  world.stopped_cpu = [&world] { return std::fmod(world.passed_s, 0.8) < 0.3 ? 1.0 : 0.0; };
  world.go_on(20);
  EXPECT_TRUE(world.controller.evaluations_go_on());
}

TEST(ImpactController, WhatAStoppedEvaluationCostsIsCharged) {
  for (const double cpus : {0.05, 0.2, 1.0}) {  // below what is seen in a frame, and above
    World world;
    world.burst_loss = 0.1;
    world.stopped_loss = 0.5;  // of two processors
    world.stopped_cpu = [cpus] { return cpus; };
    world.go_on(120);
    EXPECT_GE(world.controller.impact().estimate().lost_s_upper,
              world.passed_s - world.trained_s - 1)
        << cpus;
  }
}

TEST(ImpactController, ProgressThatNeverAddsUpProvesNothingAndGetsWhatTheTimeCovers) {
  World world;
  world.forgets_time = true;
  world.burst_loss = world.slack_loss = 0.9;
  world.go_on(120);
  const ImpactEstimate estimate = world.controller.impact().estimate();
  EXPECT_EQ(estimate.verdict, ImpactVerdict::Unproven);
  EXPECT_THAT(estimate.reason, testing::HasSubstr("does not add up"));
  EXPECT_GT(world.ran_s, 1);
  EXPECT_LT(world.ran_s, 0.05 * world.passed_s);
}

TEST(ImpactController, ProgressThatIsSetBackWhileAnEvaluationRunsCountsAsLost) {
  World world;
  world.burst_loss = world.slack_loss = 0;
  world.go_on(60);
  const double before = world.controller.impact().estimate().lost_s_upper;
  const double ran = world.ran_s;
  while (world.ran_s < ran + 1) {
    world.set_back_units();
    world.go_on(0.15);
  }
  EXPECT_GT(world.controller.impact().estimate().lost_s_upper, before + 0.5);
}

/// An evaluation ends while it runs, never while it is stopped.
TEST(ImpactController, WhenEvaluationsComeAndGoIsNoPartOfTheDesign) {
  for (const bool slow_first : {true, false}) {
    World world;
    world.burst_loss = world.slack_loss = 0.1;
    world.speed = [slow_first](double since) { return (since < 0.3) == slow_first ? 0.8 : 1.0; };
    world.demand = 0;
    world.go_on(60);
    for (int i = 0; i < 1000; ++i) {
      world.come_and_go(0.35);
      world.go_on(3);
    }
    const ImpactEstimate estimate = world.controller.impact().estimate();
    EXPECT_GT(estimate.blocks, 500);
    EXPECT_NEAR(estimate.while_running.estimate, 0.1, 0.01) << slow_first;
  }
}

TEST(ImpactController, TimeThatIsSetBackEarnsNothingAndWhatRanMeanwhileIsLost) {
  World world;
  world.burst_loss = world.slack_loss = 0;
  world.go_on(60);
  const ImpactEstimate before = world.controller.impact().estimate();
  const double passed = world.passed_s;
  const double ran = world.ran_s;
  for (int i = 0; i < 10; ++i) {
    world.go_on(0.5);
    world.set_back_time(std::chrono::seconds(60));
  }
  world.go_on(5);
  const ImpactEstimate after = world.controller.impact().estimate();
  EXPECT_LE(after.training_s - before.training_s, world.passed_s - passed + 0.5);
  EXPECT_GE(after.running_s - before.running_s, world.ran_s - ran - 0.5);
  EXPECT_THAT(after.discarded, Contains(Key("progress went back")));
}

TEST(ImpactController, TheTimeBeforeItWatchesEarnsNothing) {
  World world;
  world.pass_unwatched(3600);
  world.go_on(1);
  EXPECT_LT(world.controller.impact().estimate().training_s, 2);
  EXPECT_LT(world.controller.credit(), 0.2);
}

/// Each in the midst of what it can be in: nothing, a hold-out, an evaluation.
TEST(ImpactController, AMachineThatStandsStillForAnHourHasTrainedAndLostNothing) {
  for (const double burst_loss : {0.0, 0.5}) {
    for (const char* where : {"free", "on", "off"}) {
      World world;
      world.burst_loss = burst_loss;
      world.demand = 0;
      world.go_on(120);
      world.demand = std::string_view(where) == "free" ? 0 : 1;
      for (int i = 0; i < 30'000 && (world.frames.empty() || world.frames.back().setting != where);
           ++i) {
        world.go_on(0.01);
      }
      ASSERT_EQ(world.frames.back().setting, where);
      world.go_on(0.05);
      const ImpactEstimate before = world.controller.impact().estimate();
      world.pass_unwatched(3600);
      world.go_on(1);
      const ImpactEstimate after = world.controller.impact().estimate();
      EXPECT_LT(after.lost_s_upper, before.lost_s_upper + 1.5) << where;
      EXPECT_LT(after.training_s, before.training_s + 2) << where;
      EXPECT_EQ(after.verdict, ImpactVerdict::Unproven) << where;
      EXPECT_THAT(after.reason, HasSubstr("stood still")) << where;
      EXPECT_EQ(after.discarded.at(std::string(discard::kUnwatched)), 1) << where;
      world.demand = 1;
      const double ran = world.ran_s;
      world.go_on(60);
      EXPECT_GT(world.ran_s, ran + 0.2) << where;
      EXPECT_LT(true_loss(world), 0.05) << where;
    }
  }
}

TEST(ImpactController, WhatEvaluationsUseWhileNobodyWatchesIsCharged) {
  World world;
  world.burst_loss = 0;
  world.go_on(120);
  while (!world.order.run) {
    world.go_on(0.01);
  }
  const ImpactEstimate before = world.controller.impact().estimate();
  world.compute_unwatched(100);
  world.go_on(1);
  const ImpactEstimate after = world.controller.impact().estimate();
  EXPECT_GT(after.standing_s, before.standing_s + 99);
  EXPECT_GT(after.lost_s_upper, before.lost_s_upper + 99);
  EXPECT_FALSE(world.order.run);
}

TEST(ImpactController, ATrainingThatHangsEarnsNothing) {
  World world;
  world.demand = 0;
  world.go_on(20);
  const double before = world.controller.credit();
  world.stalled = true;
  world.go_on(200);
  EXPECT_LT(world.controller.credit(), before + 0.1);
  EXPECT_LT(world.controller.impact().estimate().training_s, 25);
  EXPECT_THAT(world.controller.impact().estimate().reason, testing::HasSubstr("no progress"));
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

TEST(ImpactController, PlacesTheSlackClassInThePhaseThatLosesLeast) {
  World world;
  world.slack_loss = 0.03;
  world.slack_loss_in_updates = 0.2;
  world.go_on(300);
  const double ran_before = world.ran_s;
  const double updates_before = world.ran_in_updates_s;
  world.go_on(300);
  EXPECT_LT((world.ran_in_updates_s - updates_before) / (world.ran_s - ran_before), 0.3);
  EXPECT_LT(true_loss(world), 0.05);
  EXPECT_EQ(world.controller.impact().estimate().verdict, ImpactVerdict::Within);
}

TEST(ImpactController, DoesNotWaitForEverForAPhaseThatDoesNotComeAgain) {
  World world;
  world.slack_loss = 0.2;
  world.slack_loss_in_updates = 0.01;
  world.go_on(300);
  ASSERT_GT(world.ran_in_updates_s / world.ran_s, 0.6);
  world.slack_loss_in_updates.reset();  // rollouts only from now on
  world.go_on(30);
  const double before = world.ran_s;
  world.go_on(120);
  EXPECT_GT(world.ran_s - before, 2);
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
