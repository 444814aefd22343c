// The GPU down the production road: a guarded run beside a library that answers, lies and hangs.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "fake_gpu.h"
#include "guarded_run.h"

namespace keisei::testing_support {
namespace {

using namespace std::chrono_literals;
using guard::GuardedRun;
using guard::Outcome;
using guard::Verdict;

class GuardedGpu : public testing::Test {
 protected:
  GuardedGpu() { gpu_.match(runs_.cookie()); }

  GuardedRun spin(const os::GpuSources& sources, std::chrono::nanoseconds timeout) {
    guard::EvaluationLimits limits;
    limits.timeout = timeout;
    return runs_.run(runs_.adversary("spin"), limits, sources);
  }
  /// Long enough to be read at least once, also on a busy machine.
  GuardedRun spin_until_read(const std::string& behaviour) {
    GuardedRun run = spin(gpu_.sources(behaviour), 1s);
    for (int i = 0; i < 3 && !run.record.gpu; ++i) {
      run = spin(gpu_.sources(behaviour), 5s);
    }
    return run;
  }
  static Verdict verdict(const GuardedRun& run) {
    return run.record.sla.gpu_utilization_percent.verdict;
  }

  GuardedRuns runs_;
  FakeGpu gpu_;
};

TEST_F(GuardedGpu, ARunBelowTheLimitMeetsItAndTheRecordHasItsShare) {
  const GuardedRun run = spin_until_read("answers_30");
  ASSERT_TRUE(run.record.gpu);
  EXPECT_DOUBLE_EQ(run.record.gpu->utilization_percent, 30);
  EXPECT_FALSE(run.record.gpu->device_wide);
  EXPECT_EQ(verdict(run), Verdict::Met);
  const auto json = nlohmann::json::parse(guard::to_json(run.record));
  EXPECT_EQ(json["gpu"]["utilization_percent"], 30);
  EXPECT_EQ(json["gpu"]["device_wide"], false);
  EXPECT_EQ(json["gpu"]["complete"], true);
  EXPECT_EQ(json["gpu"]["memory_bytes"], 123'000'000);
  EXPECT_EQ(json["sla"]["gpu_utilization_percent"]["verdict"], "Met");
}

TEST_F(GuardedGpu, ARunAboveTheLimitViolatesIt) {
  const GuardedRun run = spin_until_read("answers_95");
  ASSERT_TRUE(run.record.gpu);
  EXPECT_DOUBLE_EQ(run.record.gpu->utilization_percent, 95);
  EXPECT_EQ(verdict(run), Verdict::Violated);
}

TEST_F(GuardedGpu, WhereProcessesAreNotToldApartTheRecordSaysDeviceWide) {
  const GuardedRun run = spin_until_read("lie_over");
  ASSERT_TRUE(run.record.gpu);
  EXPECT_DOUBLE_EQ(run.record.gpu->utilization_percent, 42);
  EXPECT_TRUE(run.record.gpu->device_wide);
}

TEST_F(GuardedGpu, WhatTheWholeDeviceDoesIsNoViolationOfTheRuns) {
  const GuardedRun run = spin_until_read("busy_95");
  ASSERT_TRUE(run.record.gpu);
  EXPECT_DOUBLE_EQ(run.record.gpu->utilization_percent, 95);
  EXPECT_TRUE(run.record.gpu->device_wide);
  EXPECT_EQ(verdict(run), Verdict::NotMeasured);
  const auto json = nlohmann::json::parse(guard::to_json(run.record));
  EXPECT_TRUE(json["gpu"]["own_percent"].is_null());
  EXPECT_NE(json["gpu"]["note"].get<std::string>().find("everybody's"), std::string::npos);
}

TEST_F(GuardedGpu, OthersUseIsNotTheRuns) {
  gpu_.match("no process has this in its command line");
  const GuardedRun run = spin_until_read("answers_95");
  ASSERT_TRUE(run.record.gpu);
  EXPECT_DOUBLE_EQ(run.record.gpu->utilization_percent, 0);
  EXPECT_EQ(verdict(run), Verdict::Met);
}

TEST_F(GuardedGpu, ALibraryThatHangsOrCrashesOrLiesIsNoPass) {
  for (const char* behaviour : {"hang_load", "hang_init", "hang_processes", "crash_init",
                                "exit_utilization", "lie_busy", "error_count", "libc"}) {
    const GuardedRun run = spin(gpu_.sources(behaviour), 600ms);
    EXPECT_EQ(run.record.outcome, Outcome::TimedOut) << behaviour << run.record.cause;
    EXPECT_FALSE(run.record.gpu) << behaviour;
    EXPECT_EQ(verdict(run), Verdict::NotMeasured) << behaviour;
    EXPECT_TRUE(nlohmann::json::parse(guard::to_json(run.record))["gpu"].is_null()) << behaviour;
  }
}

TEST_F(GuardedGpu, ALibraryThatFallsSilentIsNoPassEither) {
  os::GpuSources sources = gpu_.sources("later_20");
  sources.patience = 200ms;
  GuardedRun run = spin(sources, 2s);
  for (int i = 0; i < 3 && !(run.record.gpu && !run.record.gpu->complete); ++i) {
    run = spin(sources, 6s);
  }
  ASSERT_TRUE(run.record.gpu);
  EXPECT_DOUBLE_EQ(run.record.gpu->utilization_percent, 20);
  EXPECT_FALSE(run.record.gpu->complete);
  EXPECT_EQ(verdict(run), Verdict::NotMeasured);
}

TEST_F(GuardedGpu, AHangingLibraryHoldsUpNeitherTheRunNorTheSupervisor) {
  const MonotonicTime begin = MonotonicClock::now();
  const GuardedRun run = spin(gpu_.sources("hang_init"), 600ms);  // and the supervisor's end
  EXPECT_EQ(run.record.outcome, Outcome::TimedOut);
  EXPECT_LT(MonotonicClock::now() - begin, 15s);  // below the patience for a first answer
}

TEST_F(GuardedGpu, WithoutAGpuTheRecordSaysNull) {
  const GuardedRun run =
      spin({.nvidia = "/nonexistent/nvidiactl", .drm = "/nonexistent/drm"}, 600ms);
  EXPECT_FALSE(run.record.gpu);
  EXPECT_EQ(verdict(run), Verdict::NotMeasured);
  EXPECT_EQ(run.record.sla.gpu_utilization_percent.value, std::nullopt);
}

TEST_F(GuardedGpu, TheCommandsEnvironmentDoesNotChooseTheLibrary) {
  guard::GuardedCommand command = runs_.adversary("spin");
  const std::string evil = gpu_.sources("answers_0").nvml;  // it would like to be seen so
  command.environment.push_back("LD_LIBRARY_PATH=" +
                                std::filesystem::path(evil).parent_path().string());
  command.environment.push_back("LD_PRELOAD=" + evil);
  guard::EvaluationLimits limits;
  limits.timeout = 2s;
  GuardedRun run = runs_.run(command, limits, gpu_.sources("answers_95"));
  for (int i = 0; i < 3 && !run.record.gpu; ++i) {
    limits.timeout = 6s;
    run = runs_.run(command, limits, gpu_.sources("answers_95"));
  }
  EXPECT_EQ(verdict(run), Verdict::Violated);
}

}  // namespace
}  // namespace keisei::testing_support
