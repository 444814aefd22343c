// The adversaries against the training's time (docs/safeguards.md: 16, 17, 18 and the impact half
// of 1 and 2), down the production road beside a training that uses every core. A quarter of it may
// be lost here, so that seconds show what takes minutes at 5 %.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <thread>

#include "busy_trainer.h"
#include "fake_gpu.h"
#include "guard/calibrated_load.h"
#include "guard/impact_certificate.h"
#include "guard/training_governor.h"
#include "guarded_run.h"

namespace keisei::testing_support {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using guard::Outcome;
using telemetry::FrameRecord;

constexpr double kLimit = 0.25;

double steps_in(telemetry::StepClockReader& clock, std::chrono::nanoseconds length) {
  const std::uint64_t before = clock.read().value().ticks;
  std::this_thread::sleep_for(length);
  return static_cast<double>(clock.read().value().ticks - before);
}

struct Row {
  std::string adversary;
  std::vector<std::string> arguments = {};
  guard::Profile profile = guard::Profile::Worker;
  guard::Enforcement enforcement = guard::Enforcement::Enabled;
};

/// One evaluation after the other beside a training, until the time is up.
class BesideTraining {
 public:
  void ask_for(const Row& row, std::chrono::nanoseconds length, const os::GpuSources& gpu = {}) {
    telemetry::StepClockReader seen = trainer_.reader();
    const double before = steps_in(seen, 1s);
    const std::uint64_t begun = trainer_.steps();
    const MonotonicTime begin = MonotonicClock::now();
    ask_beside(trainer_.reader(), row, length, gpu);
    const double took = seconds(MonotonicClock::now() - begin);
    const double beside = static_cast<double>(trainer_.steps() - begun) / took;
    outside_loss_ = 1 - beside / std::min(before, steps_in(seen, 1s));
  }
  /// The same beside whoever ticks that clock.
  void ask_beside(telemetry::StepClockReader clock, const Row& row, std::chrono::nanoseconds length,
                  const os::GpuSources& gpu = {}) {
    governor_.watch(std::move(clock));
    guard::EvaluationPerformanceManager manager(
        loop_.get_executor(), {.max_concurrent = 1, .timeout = 4s, .memory = megabytes(200)}, {},
        runs_.slots(), {.pressure = {}, .gpu = gpu, .training = &governor_});
    asio::steady_timer end(loop_, length);
    end.async_wait([this](const boost::system::error_code&) {
      over_ = true;
      control_.cancel(Outcome::Cancelled, "the test is over");
    });
    asio::co_spawn(loop_, ask(manager, row), [this](const std::exception_ptr& thrown) {
      EXPECT_FALSE(thrown);
      governor_.stop();
    });
    loop_.run();
    estimate_ = governor_.controller().impact().estimate();
  }

  [[nodiscard]] std::string text() const {
    return to_text(guard::ImpactCertificate{.limit = kLimit, .impact = estimate_});
  }
  [[nodiscard]] bool is_within() const {
    // Half of it is lost to whoever is not held; hosts swing by a sixth.
    return estimate_.verdict == guard::ImpactVerdict::Within && outside_loss_ < 0.4 &&
           estimate_.running_s > 0.3 && count(guard::setting::kOff) > 0;
  }
  void expect_that_records_tell() const {
    EXPECT_THAT(runs_.survivors(), testing::IsEmpty());
    ASSERT_FALSE(records_.empty());
    for (const guard::GuardRecord& record : records_) {
      if (record.latency_ms > 0) {
        EXPECT_THAT(record.tier.enforced, testing::Contains(testing::HasSubstr("training impact")));
      }
      EXPECT_TRUE(record.impact);  // also of who was never started
      EXPECT_THAT(record.outcome,
                  testing::AnyOf(Outcome::TimedOut, Outcome::Cancelled, Outcome::PolicyViolation))
          << record.cause;
    }
  }

  /// Told at each frame.
  void tell(std::function<void(const FrameRecord&)> told) { told_ = std::move(told); }
  [[nodiscard]] double outside_loss() const { return outside_loss_; }
  [[nodiscard]] const guard::ImpactEstimate& estimate() const { return estimate_; }
  [[nodiscard]] const std::vector<guard::GuardRecord>& records() const { return records_; }
  [[nodiscard]] std::vector<pid_t> survivors() const { return runs_.survivors(); }

 private:
  [[nodiscard]] int count(std::string_view setting) const {
    return static_cast<int>(std::ranges::count(frames_, setting, &FrameRecord::setting));
  }

  asio::awaitable<void> ask(guard::EvaluationPerformanceManager& manager, Row row) {
    while (!over_) {
      guard::GuardedCommand command = runs_.adversary(row.adversary, row.arguments);
      command.profile = row.profile;
      command.enforcement = row.enforcement;
      records_.push_back(
          (co_await manager.run_evaluation_with_safeguards(std::move(command), control_)).record);
    }
  }

  GuardedRuns runs_;
  BusyTrainer trainer_{static_cast<int>(std::thread::hardware_concurrency())};
  std::vector<FrameRecord> frames_;
  std::function<void(const FrameRecord&)> told_ = [](const FrameRecord&) {};
  std::vector<guard::GuardRecord> records_;
  guard::ImpactEstimate estimate_;
  double outside_loss_ = 1;  // of the rate in the slower of the seconds before and after
  asio::io_context loop_{1};
  guard::TrainingGovernor governor_{
      loop_.get_executor(), {.limit = kLimit, .seed = 11, .on_frame = [this](FrameRecord frame) {
                               told_(frame);
                               frames_.push_back(std::move(frame));
                             }}};
  guard::RunControl control_;
  bool over_ = false;
};

/// A host that takes its processors away for most of a second, or swings, may spoil one attempt;
/// who is not held spoils all.
void expect_within(const Row& row) {
  constexpr int kAttempts = 3;
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    BesideTraining beside;
    beside.ask_for(row, 7s);
    beside.expect_that_records_tell();
    if (beside.is_within()) {
      return;
    }
    fmt::print("attempt {}: lost {:.1f} %, as the training's own steps show it\n{}\n", attempt,
               100 * beside.outside_loss(), beside.text());
  }
  ADD_FAILURE() << "in none of its attempts it was held";
}

TEST(BesideATraining, TwoSpinningThreadsStayWithinTheLimit) {
  RecordProperty("row", 1);
  expect_within({.adversary = "spin", .arguments = {"2"}});
}

TEST(BesideATraining, WhoLeavesItsSessionStaysWithinTheLimit) {
  RecordProperty("row", 2);
  expect_within({.adversary = "own_session", .profile = guard::Profile::Command});
}

/// A tree as the governor sees it, which no signal reaches: so deaf no real process can be here.
class DeafTree final : public guard::PacedTree {
 public:
  explicit DeafTree(double cpus) : cpus_(cpus) {}
  void pace(guard::Pace /*pace*/) override {}
  [[nodiscard]] double cpu_seconds() override {
    return cpus_ * seconds(MonotonicClock::now() - begin_);
  }
  [[nodiscard]] bool can_slack() const override { return false; }
  void end_for(guard::Ending ending) override { ended_ = std::move(ending); }
  [[nodiscard]] const std::optional<guard::Ending>& ended() const { return ended_; }

 private:
  const double cpus_;
  const MonotonicTime begin_ = MonotonicClock::now();
  std::optional<guard::Ending> ended_;
};

TEST(StoppedTrees, WhoGoesOnAllTheSameIsEndedAndNobodyElse) {
  BusyTrainer trainer(1);
  asio::io_context loop(1);
  guard::TrainingGovernor governor(loop.get_executor(), {.limit = kLimit, .seed = 11});
  governor.watch(trainer.reader());
  DeafTree deaf(1);
  DeafTree calm(0);
  const guard::TrainingGovernor::Demand demand(governor);
  const guard::TrainingGovernor::Attachment first(governor, deaf);
  const guard::TrainingGovernor::Attachment second(governor, calm);
  const MonotonicTime deadline = MonotonicClock::now() + 30s;
  while (!deaf.ended() && MonotonicClock::now() < deadline) {
    loop.run_for(50ms);
  }
  governor.stop();
  loop.run();
  ASSERT_TRUE(deaf.ended());
  EXPECT_EQ(deaf.ended()->outcome, Outcome::PolicyViolation);
  EXPECT_FALSE(calm.ended());
}

TEST(BesideATraining, WhoWakesItselfUpStaysWithinTheLimit) {
  RecordProperty("row", 16);
  expect_within({.adversary = "wake_up"});
}

TEST(BesideATraining, WhoBehavesWhileItSeemsMeasuredStaysWithinTheLimit) {
  RecordProperty("row", 17);
  expect_within({.adversary = "goodhart"});
}

TEST(BesideATraining, WhoStreamsThroughMemoryStaysWithinTheLimit) {
  RecordProperty("row", 18);
  expect_within({.adversary = "stream"});
}

/// A training that reports its progress is slower beside a known load, and that shows.
TEST(BesideATraining, TheLoadOfThePositiveControlShowsInTheProgress) {
  RecordProperty("row", 30);
  BusyTrainer trainer(static_cast<int>(std::thread::hardware_concurrency()));
  telemetry::StepClockReader clock = trainer.reader();
  guard::CalibratedLoad load;
  double alone = 0;
  double beside = 0;
  // Five pairs on a quiet host; where others come and go it is in the mean of more.
  for (int pair = 0; pair < 5 || (beside >= 0.85 * alone && pair < 50); ++pair) {
    alone += steps_in(clock, 200ms);
    load.start();
    beside += steps_in(clock, 200ms);
    load.stop();
  }
  EXPECT_LT(beside, 0.85 * alone);
  EXPECT_GT(load.cpu_seconds(), 0.1);
}

/// A driver that keeps the probe busy costs the training its time as an evaluation does.
TEST(BesideATraining, WhatTheProbeOfGpusUsesIsCharged) {
  const FakeGpu gpu;
  BesideTraining beside;
  beside.ask_for({.adversary = "spin"}, 8s, gpu.sources("spin_init"));
  EXPECT_GT(beside.estimate().watching_s, 0.5) << beside.text();
}

/// Ticks without doing anything, and from some time on writes snapshots for evaluations only.
class SnapshotWriter {
 public:
  SnapshotWriter()
      : clock_(telemetry::StepClockWriter::create().value()),
        ticking_([this](const std::stop_token& end) { tick(end); }) {}

  void write_snapshots() { snapshots_ = true; }
  [[nodiscard]] telemetry::StepClockReader reader() const {
    return telemetry::StepClockReader::attach(UniqueFd(fcntl(clock_.fd(), F_DUPFD_CLOEXEC, 0)))
        .value();
  }

 private:
  void tick(const std::stop_token& end) {
    for (std::uint64_t units = 0; !end.stop_requested();) {
      const bool writes = snapshots_;
      units += writes ? 0 : 1;
      clock_.tick(writes ? telemetry::Phase::EvaluationSnapshot : telemetry::Phase::Update, units);
      std::this_thread::sleep_for(4ms);
    }
  }

  telemetry::StepClockWriter clock_;
  std::atomic<bool> snapshots_ = false;
  std::jthread ticking_;  // last: it uses the others
};

TEST(BesideATraining, AnEvaluationWhoseSnapshotsCostMoreThanTheLimitIsEndedAsImpactExceeded) {
  SnapshotWriter training;
  BesideTraining beside;
  beside.tell([&training](const FrameRecord& frame) {
    if (frame.setting == guard::setting::kOn && frame.running) {
      training.write_snapshots();
    }
  });
  beside.ask_beside(training.reader(), {.adversary = "spin"}, 15s);
  const auto ended =
      std::ranges::find(beside.records(), Outcome::ImpactExceeded, &guard::GuardRecord::outcome);
  ASSERT_NE(ended, beside.records().end()) << beside.text();
  EXPECT_THAT(ended->cause, testing::HasSubstr("of the training was lost"));
  EXPECT_EQ(ended->sla.training_impact_percent.verdict, guard::Verdict::Violated);
  EXPECT_EQ(beside.estimate().verdict, guard::ImpactVerdict::Exceeded);
  EXPECT_THAT(beside.survivors(), testing::IsEmpty());
}

/// More is owed for snapshots than a thousandth of ten minutes.
TEST(BesideATraining, WhatTenMinutesCannotEarnIsRejectedAtOnce) {
  SnapshotWriter training;
  const GuardedRuns runs;
  training.write_snapshots();
  asio::io_context loop(1);
  guard::TrainingGovernor governor(loop.get_executor(), {.limit = 0.001, .seed = 11});
  guard::EvaluationPerformanceManager manager(loop.get_executor(), {}, {}, runs.slots(),
                                              {.pressure = {}, .gpu = {}, .training = &governor});
  governor.watch(training.reader());
  loop.run_for(3s);
  guard::RunControl control;
  guard::GuardRecord record;
  asio::co_spawn(loop, manager.run_evaluation_with_safeguards(runs.adversary("spin"), control),
                 [&](const std::exception_ptr& thrown, const guard::GuardedRun& run) {
                   EXPECT_FALSE(thrown);
                   record = run.record;
                   governor.stop();
                 });
  loop.restart();
  loop.run_for(10s);
  EXPECT_EQ(record.outcome, Outcome::Rejected) << record.cause;
  EXPECT_THAT(record.cause, testing::HasSubstr("not earned within"));
  EXPECT_LT(record.queue_ms, 5000);
  ASSERT_EQ(record.degradation.size(), 1U);
  EXPECT_EQ(record.degradation.front().level, guard::ServiceLevel::Rejected);
  EXPECT_TRUE(record.impact);
}

TEST(BesideATraining, ARunWithoutEnforcementIsChargedAndProvesNothing) {
  BesideTraining beside;
  beside.ask_for(
      {.adversary = "spin", .arguments = {"2"}, .enforcement = guard::Enforcement::Disabled}, 2s);
  EXPECT_NE(beside.estimate().verdict, guard::ImpactVerdict::Within);
  EXPECT_GT(beside.estimate().running_s, 1);
  EXPECT_GT(beside.estimate().discarded.at("an evaluation ran without enforcement"), 0);
}

}  // namespace
}  // namespace keisei::testing_support
