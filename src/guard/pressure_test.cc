#include "guard/pressure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "guard/pressure_watch.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr PressureDemand kDemand{
    .memory = megabytes(500), .cores = 4, .trainer_threads = 4, .own_threads = 0};

PressureVerdict assessed(const PressureSample& sample, PressureDemand demand = kDemand) {
  return assess(sample, demand, Trend::Rising);
}

TEST(Pressure, AMachineThatTellsNothingIsNotJudged) {
  EXPECT_EQ(assessed({}).level, ServiceLevel::Full);
  EXPECT_EQ(assess_shortage({}, Trend::Rising).level, ServiceLevel::Full);
}

TEST(Pressure, ATrainerOnAllCoresDegradesNothing) {
  EXPECT_EQ(assessed({.cpu_some = 99, .load = 4.9}).level, ServiceLevel::Full);
  PressureDemand oversubscribed = kDemand;
  oversubscribed.trainer_threads = 32;
  EXPECT_EQ(assessed({.cpu_some = 100, .load = 33}, oversubscribed).level, ServiceLevel::Full);
}

TEST(Pressure, LoadBeyondTheTrainingMeansFewerGamesThenOneThreadButNeverWaiting) {
  EXPECT_EQ(assessed({.cpu_some = 90, .load = 12}).level, ServiceLevel::FewerGames);
  EXPECT_EQ(assessed({.cpu_some = 90, .load = 20}).level, ServiceLevel::OneThread);
  EXPECT_EQ(assessed({.cpu_some = 100, .load = 4000}).level, ServiceLevel::OneThread);
  PressureDemand busy = kDemand;
  busy.own_threads = 4;
  EXPECT_EQ(assessed({.cpu_some = 90, .load = 12}, busy).level, ServiceLevel::Full);
}

TEST(Pressure, LoadThatWaitsForNoCpuIsNotTheCpus) {
  EXPECT_EQ(assessed({.cpu_some = 1, .load = 400}).level, ServiceLevel::Full);
}

TEST(Pressure, AnEvaluationThatWouldLeaveNoMemoryIsDeferred) {
  const PressureVerdict verdict = assessed({.available = megabytes(600)});
  EXPECT_EQ(verdict.level, ServiceLevel::Deferred);
  EXPECT_THAT(verdict.cause, HasSubstr("600 MB"));
  EXPECT_THAT(verdict.cause, HasSubstr("500 MB"));
  EXPECT_EQ(assessed({.available = megabytes(800)}).level, ServiceLevel::Full);
}

TEST(Pressure, WaitingForMemoryWeighsMoreThanForTheCpu) {
  EXPECT_EQ(assessed({.memory_some = 5}).level, ServiceLevel::FewerGames);
  EXPECT_EQ(assessed({.memory_some = 10}).level, ServiceLevel::OneThread);
  EXPECT_EQ(assessed({.memory_some = 20}).level, ServiceLevel::Deferred);
  EXPECT_EQ(assessed({.memory_some = 6, .memory_full = 5}).level, ServiceLevel::Deferred);
  EXPECT_EQ(assessed({.cpu_some = 20}).level, ServiceLevel::Full);
}

TEST(Pressure, OnlyADiskThatHoldsUpEverythingCounts) {
  EXPECT_EQ(assessed({.io_full = 19}).level, ServiceLevel::Full);
  EXPECT_EQ(assessed({.io_full = 20}).level, ServiceLevel::FewerGames);
  EXPECT_EQ(assessed({.io_full = 60}).level, ServiceLevel::Deferred);
}

TEST(Pressure, TheWorstMeasureIsTheCause) {
  const PressureVerdict verdict =
      assessed({.cpu_some = 90, .memory_some = 50, .io_full = 30, .load = 20});
  EXPECT_EQ(verdict.level, ServiceLevel::Deferred);
  EXPECT_THAT(verdict.cause, HasSubstr("some wait for memory: 50.0, from 20"));
}

TEST(Pressure, SomebodysCommandWaitsOnlyWhereMemoryIsAboutToRunOut) {
  EXPECT_EQ(assess_shortage({.memory_some = 90, .available = megabytes(65)}, Trend::Rising).level,
            ServiceLevel::Full);
  EXPECT_EQ(assess_shortage({.available = megabytes(63)}, Trend::Rising).level,
            ServiceLevel::Deferred);
}

/// What a judge makes of one memory pressure after another.
class Judged {
 public:
  ServiceLevel at(std::chrono::nanoseconds time, double memory_some) {
    const PressureSample sample{.memory_some = memory_some};
    return judge_
        .judge(assess(sample, kDemand, Trend::Rising), assess(sample, kDemand, Trend::Falling),
               MonotonicTime(time))
        .level;
  }

 private:
  PressureJudge judge_;
};

TEST(PressureJudge, WorseCountsAtOnceAndBetterAfterACalm) {
  Judged judged;
  EXPECT_EQ(judged.at(1s, 0), ServiceLevel::Full);
  EXPECT_EQ(judged.at(2s, 25), ServiceLevel::Deferred);
  EXPECT_EQ(judged.at(3s, 0), ServiceLevel::Deferred);
  EXPECT_EQ(judged.at(4900ms, 0), ServiceLevel::Deferred);
  EXPECT_EQ(judged.at(5s, 0), ServiceLevel::Full);
}

TEST(PressureJudge, StaysBetweenTheThresholdsWhicheverWayItCame) {
  Judged up;
  EXPECT_EQ(up.at(1s, 4), ServiceLevel::Full);
  EXPECT_EQ(up.at(9s, 4.9), ServiceLevel::Full);
  Judged down;
  EXPECT_EQ(down.at(1s, 6), ServiceLevel::FewerGames);
  EXPECT_EQ(down.at(5s, 4), ServiceLevel::FewerGames);
  EXPECT_EQ(down.at(9s, 2.6), ServiceLevel::FewerGames);
  EXPECT_EQ(down.at(11s, 2.4), ServiceLevel::FewerGames);
  EXPECT_EQ(down.at(13s, 2.4), ServiceLevel::Full);
}

TEST(PressureJudge, ANewPeakBreaksTheCalm) {
  Judged judged;
  EXPECT_EQ(judged.at(1s, 6), ServiceLevel::FewerGames);
  EXPECT_EQ(judged.at(2s, 0), ServiceLevel::FewerGames);
  EXPECT_EQ(judged.at(3s, 6), ServiceLevel::FewerGames);
  EXPECT_EQ(judged.at(4s, 0), ServiceLevel::FewerGames);
  EXPECT_EQ(judged.at(5s, 0), ServiceLevel::FewerGames);
  EXPECT_EQ(judged.at(6s, 0), ServiceLevel::Full);
}

TEST(PressureJudge, ComesDownToWhatTheSampleStillJustifies) {
  Judged judged;
  EXPECT_EQ(judged.at(1s, 25), ServiceLevel::Deferred);
  EXPECT_EQ(judged.at(2s, 7), ServiceLevel::Deferred);
  EXPECT_EQ(judged.at(4s, 7), ServiceLevel::OneThread);
}

TEST(PressureJudge, KnowsNothingAfterAPause) {
  Judged judged;
  EXPECT_EQ(judged.at(1s, 25), ServiceLevel::Deferred);
  EXPECT_EQ(judged.at(12s, 12), ServiceLevel::OneThread);
  EXPECT_EQ(judged.at(60s, 0), ServiceLevel::Full);
}

TEST(DegradationTrail, KeepsEachStepItsCauseAndItsTime) {
  DegradationTrail trail;
  const MonotonicTime start(100s);
  EXPECT_EQ(trail.take({}, 60s, start).go, Go::Now);
  EXPECT_TRUE(trail.steps(start).empty());
  EXPECT_EQ(trail.take({ServiceLevel::Deferred, "memory"}, 60s, start).go, Go::Later);
  EXPECT_EQ(trail.take({ServiceLevel::Deferred, "memory"}, 60s, start + 3s).go, Go::Later);
  EXPECT_EQ(trail.take({ServiceLevel::FewerGames, "load"}, 60s, start + 4s).go, Go::Now);
  const auto steps = trail.steps(start + 9s);
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[0].level, ServiceLevel::Deferred);
  EXPECT_EQ(steps[0].cause, "memory");
  EXPECT_DOUBLE_EQ(steps[0].waited_ms, 4000);
  EXPECT_EQ(steps[1].level, ServiceLevel::FewerGames);
  EXPECT_DOUBLE_EQ(steps[1].waited_ms, 0);
  EXPECT_EQ(trail.take({}, 60s, start + 10s).go, Go::Now);
  EXPECT_EQ(trail.level(), ServiceLevel::Full);
  EXPECT_EQ(trail.steps(start + 10s).back().cause, "the pressure is over");
}

TEST(DegradationTrail, IsRejectedWithTheCauseWhenTheDeferralLastsTooLong) {
  DegradationTrail trail;
  for (auto now = MonotonicTime(1s); now <= MonotonicTime(60s); now += 1s) {
    EXPECT_EQ(trail.take({ServiceLevel::Deferred, "memory"}, 60s, now).go, Go::Later);
  }
  const GateAnswer answer = trail.take({ServiceLevel::Deferred, "memory"}, 60s, MonotonicTime(61s));
  EXPECT_EQ(answer.go, Go::Never);
  EXPECT_THAT(answer.cause, HasSubstr("60 s"));
  EXPECT_THAT(answer.cause, HasSubstr("memory"));
  EXPECT_EQ(trail.level(), ServiceLevel::Rejected);
}

TEST(DegradationTrail, IsRejectedAtOnceWhereWaitingWouldBeInVain) {
  DegradationTrail trail;
  const GateAnswer answer = trail.take({ServiceLevel::Rejected, "in vain"}, 60s, MonotonicTime(1s));
  EXPECT_EQ(answer.go, Go::Never);
  EXPECT_EQ(answer.cause, "in vain");
  ASSERT_EQ(trail.steps(MonotonicTime(1s)).size(), 1U);
  EXPECT_EQ(trail.steps(MonotonicTime(1s)).front().level, ServiceLevel::Rejected);
}

TEST(DegradationTrail, TimeInTheQueueIsNoDeferral) {
  DegradationTrail trail;
  EXPECT_EQ(trail.take({ServiceLevel::Deferred, "memory"}, 60s, MonotonicTime(1s)).go, Go::Later);
  EXPECT_EQ(trail.take({ServiceLevel::Deferred, "memory"}, 60s, MonotonicTime(90s)).go, Go::Later);
}

class PressureFiles : public testing::Test {
 protected:
  PressureFiles() {
    std::string pattern = testing::TempDir() + "keisei-pressure-XXXXXX";
    proc_ = mkdtemp(pattern.data());
    std::filesystem::create_directory(proc_ / "pressure");
  }
  ~PressureFiles() override { std::filesystem::remove_all(proc_); }
  void write(const char* file, std::string_view text) {
    ASSERT_TRUE(write_file_atomically(proc_ / file, text));
  }

  std::filesystem::path proc_;
};

TEST_F(PressureFiles, AreReadAsTheKernelWritesThem) {
  write("pressure/cpu",
        "some avg10=99.06 avg60=86.31 avg300=65.87 total=1190704779\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
  write("pressure/memory",
        "some avg10=1.50 avg60=0.00 avg300=0.00 total=0\n"
        "full avg10=0.25 avg60=0.00 avg300=0.00 total=0\n");
  write("pressure/io",
        "some avg10=7.00 avg60=0.00 avg300=0.00 total=0\n"
        "full avg10=3.00 avg60=0.00 avg300=0.00 total=0\n");
  write("meminfo", "MemTotal:       24684096 kB\nMemFree:   5 kB\nMemAvailable:       1000 kB\n");
  write("loadavg", "4.25 4.45 4.45 6/171 12289\n");
  const PressureSample sample = sample_pressure(proc_);
  EXPECT_EQ(sample.cpu_some, 99.06);
  EXPECT_EQ(sample.memory_some, 1.5);
  EXPECT_EQ(sample.memory_full, 0.25);
  EXPECT_EQ(sample.io_full, 3.0);
  EXPECT_EQ(sample.available, Bytes{1'024'000});
  EXPECT_EQ(sample.load, 4.25);
}

TEST_F(PressureFiles, AreAbsentWhereTheyAreMissingOrMakeNoSense) {
  write("pressure/memory", "some avg10=nan avg60=0.00\nfull avg10=-3\nfull avg10=1e9\n");
  write("pressure/io", "full\n");
  write("meminfo", "MemAvailable: many kB\n");
  write("loadavg", "");
  const PressureSample sample = sample_pressure(proc_);
  EXPECT_FALSE(sample.cpu_some || sample.memory_some || sample.memory_full || sample.io_full ||
               sample.available || sample.load);
}

}  // namespace
}  // namespace keisei::guard
