#include "guard/training_impact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guard/impact_certificate.h"

namespace keisei::guard {
namespace {

using telemetry::FrameRecord;
using telemetry::Phase;
using testing::HasSubstr;

/// Frames of a training whose 100 ticks of 2 ms make a frame, more or less.
class Frames {
 public:
  TrainingImpact impact{{.limit = 0.05, .alpha = 0.05}};
  std::vector<FrameRecord> all;

  FrameRecord frame(std::string_view setting, double rate = 1, Phase phase = Phase::Update) {
    FrameRecord frame{.supervision = 5,
                      .number = static_cast<std::int64_t>(all.size()) + 1,
                      .begin_ns = end_,
                      .end_ns = end_ + kLength,
                      .setting = std::string(setting),
                      .running = setting == setting::kOn || setting == setting::kSwitch,
                      .planned_ns = kLength,
                      .measured_ns = kLength,
                      .ticks = std::vector<std::int64_t>(telemetry::kPhases),
                      .units = std::vector<std::int64_t>(telemetry::kPhases),
                      .time_ns = std::vector<std::int64_t>(telemetry::kPhases)};
    const auto i = static_cast<std::size_t>(phase);
    frame.ticks[i] = static_cast<std::int64_t>(100'000 * rate);
    frame.time_ns[i] = kLength;
    end_ += kLength;
    return frame;
  }
  void add(const FrameRecord& frame) {
    all.push_back(frame);
    impact.add(frame);
  }
  void free(int count, Phase phase = Phase::Update) {
    for (int i = 0; i < count; ++i) {
      add(frame(setting::kFree, 1, phase));
    }
  }
  /// A hold-out and an on-frame; of the negative control nothing runs in that either.
  void block(double on_rate, double off_rate = 1, std::string_view control = "") {
    ++blocks_;
    for (const bool on : {true, false}) {
      FrameRecord slot = frame(on ? setting::kOn : setting::kOff, on ? on_rate : off_rate);
      slot.control = std::string(control);
      slot.running = on && control.empty();
      slot.block = blocks_;
      slot.slot = on ? 1 : 2;
      slot.slots = 2;
      slot.cap = 0.5;
      add(slot);
    }
  }
  FrameRecord on_slot(std::int64_t block, double rate) {
    FrameRecord slot = frame(setting::kOn, rate);
    slot.block = block;
    slot.slot = 1;
    slot.slots = 2;
    slot.cap = 0.5;
    return slot;
  }

 private:
  static constexpr std::int64_t kLength = 200'000'000;
  std::int64_t end_ = 0;
  std::int64_t blocks_ = 0;
};

TEST(TrainingImpact, EstimatesTheLinearLossWhileEvaluationsRun) {
  Frames frames;
  frames.free(40);
  for (int i = 0; i < 100; ++i) {
    frames.block(0.7);
  }
  const ImpactEstimate estimate = frames.impact.estimate();
  EXPECT_NEAR(estimate.while_running.estimate, 0.3, 1e-6);
  EXPECT_LT(estimate.while_running.lower, 0.3);
  EXPECT_GT(estimate.while_running.upper, 0.3);
  EXPECT_NEAR(estimate.running_s, 20, 1e-9);
  EXPECT_NEAR(estimate.training_s, 48, 1e-9);
  EXPECT_NEAR(estimate.amortised.estimate, 0.3 * 20 / 48, 1e-6);
  EXPECT_NEAR(estimate.log_ratio.value(), std::log(0.7), 1e-6);
}

TEST(TrainingImpact, IsWithinWhereNothingIsLostAndExceededWhereMuchIs) {
  Frames harmless;
  harmless.free(40);
  Frames harmful;
  harmful.free(40);
  for (int i = 0; i < 200; ++i) {
    harmless.block(1);
    harmful.block(0.5);
  }
  EXPECT_EQ(harmless.impact.estimate().verdict, ImpactVerdict::Within);
  EXPECT_EQ(harmful.impact.estimate().verdict, ImpactVerdict::Exceeded);
  EXPECT_THAT(harmful.impact.estimate().reason, HasSubstr("at least"));
}

TEST(TrainingImpact, IsUnprovenWhereItsNegativeControlShowsALoss) {
  for (const double on_rate : {0.8, 1.0, 1.2}) {
    Frames frames;
    frames.free(40);
    for (int i = 0; i < 200; ++i) {
      frames.block(1);
      frames.block(on_rate, 1, control::kNothing);
    }
    const ImpactEstimate estimate = frames.impact.estimate();
    EXPECT_EQ(estimate.control_blocks, 200);
    EXPECT_LT(estimate.amortised.upper, 0.05);
    if (on_rate == 1.0) {
      EXPECT_EQ(estimate.verdict, ImpactVerdict::Within);
    } else {
      EXPECT_EQ(estimate.verdict, ImpactVerdict::Unproven) << on_rate;
      EXPECT_THAT(estimate.reason, HasSubstr("negative control")) << on_rate;
    }
  }
}

TEST(TrainingImpact, WhoIsFasterThanPossibleIsNotBelieved) {
  Frames boaster;
  boaster.free(40);
  for (int i = 0; i < 50; ++i) {
    boaster.block(4);
  }
  const ImpactEstimate estimate = boaster.impact.estimate();
  EXPECT_EQ(estimate.discarded.at(std::string(discard::kTooFast)), 50);
  EXPECT_NEAR(estimate.lost_s_upper, estimate.running_s, 1e-9);
  EXPECT_NE(estimate.verdict, ImpactVerdict::Within);
  for (int i = 0; i < 100; ++i) {
    boaster.add(boaster.frame(setting::kSwitch, 1));
    boaster.add(boaster.on_slot(1000 + i, 4));
    boaster.add(boaster.on_slot(2000 + i, 4));
    boaster.add(boaster.on_slot(3000 + i, 4));
  }
  EXPECT_TRUE(boaster.impact.is_disbelieved());
  EXPECT_THAT(boaster.impact.estimate().reason, HasSubstr("faster than possible"));
}

TEST(TrainingImpact, KnowsNothingFromFewBlocksButThatNoMoreThanAllIsLost) {
  Frames frames;
  frames.free(1000);
  frames.block(1);
  EXPECT_NEAR(frames.impact.estimate().while_running.upper, 1, 1e-12);
  EXPECT_NEAR(frames.impact.estimate().amortised.upper, 0.2 / 200.4, 1e-9);
  EXPECT_EQ(frames.impact.estimate().verdict, ImpactVerdict::Within);
}

TEST(TrainingImpact, IsUnprovenWhereTooFewBlocksWereSeen) {
  Frames frames;
  frames.free(10);
  for (int i = 0; i < 5; ++i) {
    frames.block(1);
  }
  EXPECT_EQ(frames.impact.estimate().verdict, ImpactVerdict::Unproven);
  EXPECT_THAT(frames.impact.estimate().reason, HasSubstr("5 blocks bound the loss by"));
}

TEST(TrainingImpact, NeverClipsALossButBelievesNoGainInWhatIsCharged) {
  Frames frozen;
  frozen.free(40);
  frozen.block(0);
  EXPECT_NEAR(frozen.impact.estimate().while_running.estimate, 1, 1e-9);
  Frames faster;
  faster.free(40);
  faster.block(2);
  EXPECT_NEAR(faster.impact.estimate().while_running.estimate, -1, 1e-9);
  EXPECT_GE(faster.impact.estimate().lost_s_upper, 0);
}

TEST(TrainingImpact, CountsABlockAsWhollyLostWhereItsHoldOutWasTooFast) {
  Frames frames;
  frames.free(40);
  for (int i = 0; i < 200; ++i) {
    frames.block(1, i % 20 == 0 ? 1.8 : 1);
  }
  const ImpactEstimate estimate = frames.impact.estimate();
  EXPECT_EQ(estimate.wholly_lost, 10);
  EXPECT_GT(estimate.while_running.upper, 0.05);
}

TEST(TrainingImpact, LooksAtNoRateOfADiscardedFrame) {
  Frames frames;
  frames.free(40);
  for (int i = 0; i < 10; ++i) {
    frames.block(1);
  }
  FrameRecord bad = frames.on_slot(99, 0);
  bad.discarded = "disturbed by other processes";
  frames.add(bad);
  FrameRecord off = frames.frame(setting::kOff);
  off.block = 99;
  off.slot = 2;
  off.slots = 2;
  frames.add(off);
  const ImpactEstimate estimate = frames.impact.estimate();
  EXPECT_NEAR(estimate.while_running.estimate, 0, 1e-9);
  EXPECT_EQ(estimate.blocks, 10);
  EXPECT_EQ(estimate.discarded.at("disturbed by other processes"), 1);
  EXPECT_NEAR(estimate.running_s, 11 * 0.2, 1e-9);  // that it ran is charged all the same
}

TEST(TrainingImpact, ChargesABlockThatWasGivenUpWithWhatWasSeen) {
  Frames frames;
  frames.free(40);
  for (int i = 0; i < 400; ++i) {
    frames.block(1);
  }
  const double before = frames.impact.estimate().lost_s_upper;
  frames.add(frames.on_slot(1001, 0.25));
  EXPECT_NEAR(frames.impact.estimate().lost_s_upper - before, 0.75 * 0.2, 0.004);  // still open
  frames.add(frames.on_slot(1002, 1));
  EXPECT_GE(frames.impact.estimate().lost_s_upper - before, 0.75 * 0.2);
  EXPECT_NEAR(frames.impact.estimate().unsettled_s, 0.4, 1e-9);
}

TEST(TrainingImpact, ChargesRunningTimeInWhichNothingCouldBeSeenAsLost) {
  Frames frames;
  frames.free(40);
  for (int i = 0; i < 400; ++i) {
    frames.block(1);
  }
  const double before = frames.impact.estimate().lost_s_upper;
  FrameRecord silent = frames.frame(setting::kOn);
  silent.discarded = discard::kNoProgress;
  silent.ticks.assign(telemetry::kPhases, 0);
  silent.time_ns.assign(telemetry::kPhases, 0);
  frames.add(silent);
  EXPECT_NEAR(frames.impact.estimate().lost_s_upper - before, 0.2, 1e-9);
}

TEST(TrainingImpact, ChargesADiscardedFrameWithItsOwnLossToo) {
  Frames frames;
  frames.free(40);
  for (int i = 0; i < 400; ++i) {
    frames.block(1);
  }
  const double before = frames.impact.estimate().lost_s_upper;
  FrameRecord disturbed = frames.on_slot(1001, 0.5);
  disturbed.discarded = "disturbed by other processes";
  frames.add(disturbed);
  EXPECT_NEAR(frames.impact.estimate().lost_s_upper - before, 0.1, 0.004);
}

/// A frame that an evaluation makes long counts for as long as it was.
TEST(TrainingImpact, WeighsFramesByTheirLength) {
  Frames frames;
  frames.free(40);
  for (int i = 0; i < 100; ++i) {
    frames.block(1);
  }
  FrameRecord slot = frames.on_slot(1001, 1);
  slot.end_ns += 99 * slot.planned_ns;  // a hundred times as long, at half of the rate
  slot.measured_ns = 100 * slot.planned_ns;
  slot.time_ns[static_cast<std::size_t>(Phase::Update)] = slot.measured_ns;
  slot.ticks[static_cast<std::size_t>(Phase::Update)] = 50 * 100'000;
  frames.add(slot);
  FrameRecord off = frames.frame(setting::kOff);
  off.block = 1001;
  off.slot = 2;
  off.slots = 2;
  off.cap = 0.5;
  frames.add(off);
  EXPECT_NEAR(frames.impact.estimate().while_running.estimate, 50.0 / 200, 0.01);
}

TEST(TrainingImpact, TakesNoCreditFromHoldOutsThatAreSlow) {
  Frames frames;
  frames.free(40);
  for (int i = 0; i < 400; ++i) {
    frames.block(1, 0.97);
  }
  EXPECT_GE(frames.impact.estimate().lost_s_upper, 0);
  EXPECT_GE(frames.impact.upper_while_running(), 0);
}

TEST(TrainingImpact, CountsNoSwingOfTheMachinesSpeedAsALoss) {
  Frames harmless;
  Frames harmful;
  harmless.free(40);
  harmful.free(40);
  for (int i = 0; i < 200; ++i) {
    const double speed = i % 2 == 0 ? 0.8 : 1.2;
    harmless.block(speed, speed);
    harmful.block(0.9 * speed, speed);
  }
  EXPECT_NEAR(harmless.impact.estimate().while_running.estimate, 0, 0.01);
  EXPECT_NEAR(harmful.impact.estimate().while_running.estimate, 0.1, 0.01);
}

TEST(TrainingImpact, ASlowHoldOutDoesNotMakeUpForWorkThatWasNotDone) {
  Frames frames;
  frames.free(40);
  for (int i = 0; i < 300; ++i) {  // what an evaluation leaves behind slows the hold-out as well
    frames.free(24);
    frames.block(0, 0.2);
  }
  EXPECT_GT(frames.impact.upper_while_running(), 0.9);
}

TEST(TrainingImpact, AHoldOutThatStoodStillCostsNoHours) {
  Frames frames;
  frames.free(40);
  for (int i = 0; i < 200; ++i) {
    frames.block(1);
  }
  const double before = frames.impact.upper_while_running();
  frames.block(1, 0);
  EXPECT_LT(frames.impact.upper_while_running(), before + 0.05);
}

TEST(TrainingImpact, CountsWorkByUnitsWhereAPhaseHasThemAndByTicksElsewhere) {
  Frames frames;
  const auto rollout = [&](std::string_view setting, std::int64_t units) {
    FrameRecord frame = frames.frame(setting, 1, Phase::RolloutInference);
    frame.units[static_cast<std::size_t>(Phase::RolloutInference)] = units;
    return frame;
  };
  for (int i = 0; i < 10; ++i) {
    frames.add(rollout(setting::kFree, 640));
  }
  // As many ticks of one worker, but half of the plies of both.
  EXPECT_NEAR(frames.impact.loss_of(rollout(setting::kOn, 320)).value(), 0.5, 1e-9);
}

TEST(TrainingImpact, HoldsEachPhaseAgainstItsOwnReference) {
  Frames frames;
  frames.free(20, Phase::RolloutInference);
  EXPECT_FALSE(frames.impact.loss_of(frames.frame(setting::kOn)));  // no update was seen yet
  frames.free(20, Phase::Update);
  EXPECT_NEAR(frames.impact.loss_of(frames.frame(setting::kOn, 0.9)).value(), 0.1, 1e-6);
}

TEST(TrainingImpact, ChargesSnapshotsToEvaluations) {
  Frames frames;
  frames.free(10);
  FrameRecord frame = frames.frame(setting::kFree);
  frame.time_ns[static_cast<std::size_t>(Phase::EvaluationSnapshot)] = 50'000'000;
  frame.measured_ns += 50'000'000;
  frames.add(frame);
  EXPECT_NEAR(frames.impact.estimate().snapshots_s, 0.05, 1e-12);
  EXPECT_NEAR(frames.impact.estimate().lost_s_upper, 0.05, 1e-12);
}

TEST(TrainingImpact, TotalsThatMakeNoSenseAreNoTime) {
  for (const Phase phase : {Phase::Idle, Phase::EvaluationSnapshot}) {
    Frames frames;
    frames.free(10);
    const ImpactEstimate before = frames.impact.estimate();
    FrameRecord frame = frames.frame(setting::kFree);
    frame.time_ns[static_cast<std::size_t>(phase)] = -3'600'000'000'000;
    frame.discarded = discard::kDoesNotAddUp;
    frames.add(frame);
    const ImpactEstimate after = frames.impact.estimate();
    EXPECT_LT(after.training_s - before.training_s, 1);
    EXPECT_EQ(after.snapshots_s, before.snapshots_s);
  }
}

TEST(TrainingImpact, HoldsOutLessWhenTheBoundIsBelowTheLimit) {
  Frames frames;
  frames.free(40);
  EXPECT_EQ(frames.impact.plan().slots, 2);
  for (int i = 0; i < 200; ++i) {
    frames.block(1);
  }
  EXPECT_EQ(frames.impact.plan().slots, 20);
  EXPECT_NEAR(frames.impact.plan().cap * frames.impact.plan().slots, 1, 1e-12);
}

TEST(TrainingImpact, HoldsOutLeastWhereNextToNothingIsLost) {
  for (const double lost : {0.0, 0.03}) {
    Frames frames;
    frames.free(40);
    for (int i = 0; i < 2000; ++i) {
      frames.block(1 - lost, i % 2 == 0 ? 1.02 : 0.98);
    }
    ASSERT_LT(frames.impact.upper_while_running(), 0.05);
    EXPECT_NEAR(frames.impact.plan().slots, lost == 0 ? 16 : 8, 1) << lost;
  }
}

TEST(TrainingImpact, HoldsOutNoMoreForHoldOutsThatWereSlow) {
  Frames frames;
  frames.free(40);
  for (int i = 0; i < 2000; ++i) {
    frames.block(1, i % 20 == 0 ? 0.9 : 1);
  }
  ASSERT_LT(frames.impact.upper_while_running(), 0.05);
  EXPECT_EQ(frames.impact.plan().slots, 20);
}

TEST(BlockSums, HarmlessBlocksOfLongStepsStayBelowTheLimit) {
  for (const double weight : {12.0, 25.0}) {
    BlockSums sums(0.05);
    for (int i = 0; i < 1000; ++i) {
      sums.add({.slot_s = 0.2, .cap = 0.5, .frames = {{.seconds = 0.2 * weight}}, .off_gain = 0});
    }
    EXPECT_LT(sums.share().upper, 0.05) << weight;
  }
}

TEST(BlockSums, AHoldOutIsHeldAgainstAllSlotsOfLongFrames) {
  BlockSums sums(0.05);
  const auto block = [](double weight) {
    return ImpactBlock{
        .slot_s = 0.2, .cap = 0.5, .frames = {{.seconds = 0.2 * weight}}, .off_gain = 0.06};
  };
  sums.add(block(1));
  EXPECT_EQ(sums.wholly_lost(), 0);
  sums.add(block(10));  // with the hold-out 20 frames' worth: a twentieth at most
  EXPECT_EQ(sums.wholly_lost(), 1);
}

/// Slots are as long as the training's steps ask for. By their number alone 250 short ones at 2 %
/// and 25 long ones at 40 % would be 5.5 s of the 100.
TEST(BlockSums, WhatIsLostInLongSlotsCountsByTheirLength) {
  BlockSums sums(0.05);
  for (int i = 0; i < 275; ++i) {
    const bool is_long = i % 11 == 10;
    const double slot_s = is_long ? 2.0 : 0.2;
    const double loss = is_long ? 0.4 : 0.02;
    sums.add({.slot_s = slot_s,
              .cap = 0.5,
              .frames = {{.seconds = slot_s, .seen_loss = loss, .loss = loss}},
              .off_gain = 0});
  }
  EXPECT_NEAR(sums.seconds(), 100, 1e-9);
  EXPECT_NEAR(sums.share().estimate, 0.21, 1e-9);
  EXPECT_GT(sums.share().upper, 0.21);
  EXPECT_LT(sums.share().lower, 0.21);
}

TEST(TrainingImpact, IsUnprovenWhileItIsSilentAndNotBecauseItsLastFrameHadNoTickYet) {
  Frames frames;
  frames.free(40);
  for (int i = 0; i < 300; ++i) {
    frames.block(1);
  }
  FrameRecord last = frames.frame(setting::kFree);
  last.discarded = std::string(discard::kNoProgress);
  last.ticks.assign(last.ticks.size(), 0);
  frames.add(last);
  EXPECT_EQ(frames.impact.estimate().verdict, ImpactVerdict::Within);
  last.end_ns += 3'000'000'000;
  frames.add(last);
  EXPECT_EQ(frames.impact.estimate().verdict, ImpactVerdict::Unproven);
  EXPECT_THAT(frames.impact.estimate().reason, HasSubstr("no progress"));
  frames.free(1);
  EXPECT_EQ(frames.impact.estimate().verdict, ImpactVerdict::Within);
}

/// A machine that is slow in one slot and fast in the next loses nothing.
TEST(BlockSums, AGainIsBelievedByTheLowerBoundAndNotByTheUpperOne) {
  BlockSums sums(0.05);
  for (int i = 0; i < 2000; ++i) {
    const double loss = i % 2 == 0 ? 0.6 : -0.6;
    sums.add({.slot_s = 0.2,
              .cap = 0.5,
              .frames = {{.seconds = 0.2, .seen_loss = loss, .loss = std::max(loss, -0.5)}},
              .off_gain = 0});
  }
  EXPECT_NEAR(sums.share().estimate, 0, 1e-9);
  EXPECT_LT(sums.share().lower, 0);
  EXPECT_GT(sums.share().upper, 0.05);
}

TEST(TrainingImpact, IsUnprovenWhileItsProgressHasJustGoneWrong) {
  for (const std::string_view fault :
       {discard::kUnwatched, discard::kWentBack, discard::kDoesNotAddUp}) {
    Frames frames;
    frames.free(40);
    for (int i = 0; i < 300; ++i) {
      frames.block(1);
    }
    ASSERT_EQ(frames.impact.estimate().verdict, ImpactVerdict::Within);
    FrameRecord broken = frames.frame(setting::kFree);
    broken.discarded = std::string(fault);
    frames.add(broken);
    frames.free(10);  // 2 s
    EXPECT_EQ(frames.impact.estimate().verdict, ImpactVerdict::Unproven) << fault;
    EXPECT_THAT(frames.impact.estimate().reason, HasSubstr(std::string(fault)));
    frames.free(20);
    EXPECT_EQ(frames.impact.estimate().verdict, ImpactVerdict::Within) << fault;
  }
}

TEST(ImpactCertificate, IsTheSameFromTheFramesAloneToTheLastDigit) {
  Frames frames;
  frames.free(40);
  for (int i = 0; i < 150; ++i) {
    frames.block(0.97 + 0.001 * (i % 7), 1 + 0.01 * (i % 3 - 1));
  }
  const ImpactCertificate live{.supervision = 5, .limit = 0.05, .impact = frames.impact.estimate()};
  const auto again = certificates_of(frames.all, 0.05);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(to_json(again.front()), to_json(live));
  std::vector<FrameRecord> changed = frames.all;
  changed[60].time_ns[static_cast<std::size_t>(Phase::Update)] += 1;
  EXPECT_NE(to_json(certificates_of(changed, 0.05).front()), to_json(live));
}

TEST(ImpactCertificate, TellsItsSeedOrThatItHasNone) {
  EXPECT_EQ(parse_seed(to_json({.seed = 4'000'000'000'000'000'000U})), 4'000'000'000'000'000'000U);
  for (const std::string text : {"", "[]", "{\"seed\":-1}", "{\"seed\":0.5}"}) {
    EXPECT_FALSE(parse_seed(text)) << text;
  }
  EXPECT_FALSE(parse_seed(to_json({})));
}

TEST(ImpactCertificate, KeepsSupervisionsApart) {
  Frames frames;
  frames.free(10);
  std::vector<FrameRecord> all = frames.all;
  all.push_back(frames.frame(setting::kFree));
  all.back().supervision = 6;
  EXPECT_EQ(certificates_of(all, 0.05).size(), 2u);
  EXPECT_EQ(last_supervision(all).size(), 1u);
  EXPECT_EQ(last_supervision(frames.all).size(), frames.all.size());
}

}  // namespace
}  // namespace keisei::guard
