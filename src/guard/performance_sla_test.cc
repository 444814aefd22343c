#include "guard/performance_sla.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "guard/resource_monitor.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

ResourceSample sample(Bytes memory, int processes) {
  return {.memory = memory,
          .cpu_seconds = 0,
          .processes = processes,
          .threads = processes,
          .descriptors_hidden = false};
}

ImpactEstimate impact(double estimate, double lower, double upper) {
  ImpactEstimate all;
  all.training_s = 100;
  all.amortised = {.estimate = estimate, .lower = lower, .upper = upper};
  all.verdict = upper < 0.05    ? ImpactVerdict::Within
                : lower >= 0.05 ? ImpactVerdict::Exceeded
                                : ImpactVerdict::Unproven;
  return all;
}

TEST(EvaluationPerformanceSLA, HoldsTheImpactsBoundAndNotItsEstimateAgainstTheLimit) {
  PerformanceMetrics metrics;
  metrics.impact = impact(0.01, 0.0, 0.049);
  MetricVerdict held = EvaluationPerformanceSLA{}.judge(metrics).training_impact_percent;
  EXPECT_EQ(held.verdict, Verdict::Met);
  EXPECT_DOUBLE_EQ(held.value.value(), 4.9);
  metrics.impact = impact(0.01, 0.0, 0.051);
  held = EvaluationPerformanceSLA{}.judge(metrics).training_impact_percent;
  EXPECT_EQ(held.verdict, Verdict::NotMeasured);
  EXPECT_FALSE(held.value);
  metrics.impact = impact(0.2, 0.1, 0.3);
  held = EvaluationPerformanceSLA{}.judge(metrics).training_impact_percent;
  EXPECT_EQ(held.verdict, Verdict::Violated);
  EXPECT_DOUBLE_EQ(held.value.value(), 10);
}

TEST(EvaluationPerformanceSLA, HasNoImpactWhereTheTrainingWasSilent) {
  PerformanceMetrics metrics;
  metrics.impact = impact(0, 0, 0.01);
  metrics.impact->verdict = ImpactVerdict::Unproven;
  EXPECT_EQ(EvaluationPerformanceSLA{}.judge(metrics).training_impact_percent.verdict,
            Verdict::NotMeasured);
}

TEST(EvaluationPerformanceSLA, ReportsNotMeasuredWhenGpuIsAbsent) {
  const SlaReport report = EvaluationPerformanceSLA{}.judge({.latency_ms = 1000,
                                                             .peak_memory = megabytes(50),
                                                             .gpu = std::nullopt,
                                                             .impact = std::nullopt});
  EXPECT_EQ(report.gpu_utilization_percent.verdict, Verdict::NotMeasured);
  EXPECT_EQ(report.gpu_utilization_percent.value, std::nullopt);
  EXPECT_EQ(report.training_impact_percent.verdict, Verdict::NotMeasured);
  EXPECT_EQ(report.evaluation_latency_ms.verdict, Verdict::Met);
  EXPECT_EQ(report.memory_overhead_mb.verdict, Verdict::Met);
}

TEST(EvaluationPerformanceSLA, IsViolatedAtTheLimitItself) {
  const SlaReport report = EvaluationPerformanceSLA{}.judge(
      {.latency_ms = 5000,
       .peak_memory = megabytes(500),
       .gpu = GpuRecord{.utilization_percent = 80, .device_wide = false},
       .impact = impact(0.06, 0.05, 0.07)});
  EXPECT_EQ(report.evaluation_latency_ms.verdict, Verdict::Violated);
  EXPECT_EQ(report.memory_overhead_mb.verdict, Verdict::Violated);
  EXPECT_EQ(report.gpu_utilization_percent.verdict, Verdict::Violated);
  EXPECT_EQ(report.training_impact_percent.verdict, Verdict::Violated);
}

TEST(EvaluationPerformanceSLA, AGpuThatWasNotAlwaysSeenIsNoPassButMayBeAViolation) {
  PerformanceMetrics metrics;
  metrics.gpu = GpuRecord{.utilization_percent = 5, .device_wide = false, .complete = false};
  const MetricVerdict low = EvaluationPerformanceSLA{}.judge(metrics).gpu_utilization_percent;
  EXPECT_EQ(low.verdict, Verdict::NotMeasured);
  EXPECT_EQ(low.value, 5);
  metrics.gpu->utilization_percent = 95;
  EXPECT_EQ(EvaluationPerformanceSLA{}.judge(metrics).gpu_utilization_percent.verdict,
            Verdict::Violated);
  metrics.gpu = GpuRecord{.utilization_percent = 5, .device_wide = false, .complete = true};
  EXPECT_EQ(EvaluationPerformanceSLA{}.judge(metrics).gpu_utilization_percent.verdict,
            Verdict::Met);
}

TEST(EvaluationPerformanceSLA, WhatOthersDoOnTheDeviceIsNoViolation) {
  const auto judged = [](const GpuRecord& gpu) {
    PerformanceMetrics metrics;
    metrics.gpu = gpu;
    return EvaluationPerformanceSLA{}.judge(metrics).gpu_utilization_percent;
  };
  const MetricVerdict trainers = judged({.utilization_percent = 99, .device_wide = true});
  EXPECT_EQ(trainers.verdict, Verdict::NotMeasured);
  EXPECT_EQ(trainers.value, 99);
  EXPECT_EQ(judged({.utilization_percent = 79, .device_wide = true}).verdict, Verdict::Met);
  EXPECT_EQ(judged({.utilization_percent = 79, .device_wide = true, .complete = false}).verdict,
            Verdict::NotMeasured);
  const MetricVerdict own =
      judged({.utilization_percent = 99, .device_wide = true, .own_percent = 85});
  EXPECT_EQ(own.verdict, Verdict::Violated);
  EXPECT_EQ(own.value, 85);
  EXPECT_EQ(judged({.utilization_percent = 99, .device_wide = true, .own_percent = 20}).verdict,
            Verdict::NotMeasured);
}

TEST(EvaluationPerformanceSLA, NothingMeasuredIsNoPass) {
  const SlaReport report = EvaluationPerformanceSLA{}.judge({});
  for (const MetricVerdict& metric :
       {report.evaluation_latency_ms, report.memory_overhead_mb, report.training_impact_percent,
        report.gpu_utilization_percent}) {
    EXPECT_EQ(metric.verdict, Verdict::NotMeasured);
  }
}

TEST(EvaluationPerformanceSLA, ANumberThatIsNoneIsViolated) {
  PerformanceMetrics metrics;
  metrics.latency_ms = std::nan("");
  EXPECT_EQ(EvaluationPerformanceSLA{}.judge(metrics).evaluation_latency_ms.verdict,
            Verdict::Violated);
}

TEST(EvaluationPerformanceSLA, ARunWithoutAnAcceptedReportHasNoLatencyToPraise) {
  PerformanceMetrics metrics;
  metrics.latency_ms = 300;
  for (const Outcome outcome : {Outcome::TimedOut, Outcome::Crashed, Outcome::BadReport,
                                Outcome::OverMemory, Outcome::Cancelled}) {
    const MetricVerdict latency =
        EvaluationPerformanceSLA{}.judge(metrics, outcome).evaluation_latency_ms;
    EXPECT_EQ(latency.verdict, Verdict::NotMeasured) << to_string(outcome);
    EXPECT_EQ(latency.value, std::nullopt) << to_string(outcome);
  }
  for (const Outcome outcome : {Outcome::Finished, Outcome::Partial}) {
    EXPECT_EQ(EvaluationPerformanceSLA{}.judge(metrics, outcome).evaluation_latency_ms.verdict,
              Verdict::Met);
  }
  metrics.latency_ms = 5000;  // it is too late for a report already
  const MetricVerdict late =
      EvaluationPerformanceSLA{}.judge(metrics, Outcome::TimedOut).evaluation_latency_ms;
  EXPECT_EQ(late.verdict, Verdict::Violated);
  EXPECT_EQ(late.value, 5000);
}

TEST(EvaluationPerformanceSLA, ARunThatWasEndedForItsMemoryViolatesTheMemoryLimit) {
  PerformanceMetrics metrics;
  metrics.peak_memory = megabytes(90);
  EXPECT_EQ(
      EvaluationPerformanceSLA{}.judge(metrics, Outcome::OverMemory).memory_overhead_mb.verdict,
      Verdict::Violated);
  EXPECT_EQ(EvaluationPerformanceSLA{}.judge(metrics, Outcome::TimedOut).memory_overhead_mb.verdict,
            Verdict::Met);
}

TEST(EvaluationPerformanceSLA, FollowsItsConfiguredLimits) {
  PerformanceMetrics metrics;
  metrics.latency_ms = 1000;
  const auto judged = [&metrics](double limit) {
    return EvaluationPerformanceSLA{.latency_ms = limit}.judge(metrics).evaluation_latency_ms;
  };
  EXPECT_EQ(judged(999).verdict, Verdict::Violated);
  EXPECT_EQ(judged(1001).verdict, Verdict::Met);
}

TEST(EvaluationPerformanceSLA, RefusesLimitsThatMeanNothing) {
  EXPECT_TRUE(validate(EvaluationPerformanceSLA{}));
  EXPECT_FALSE(validate(EvaluationPerformanceSLA{.latency_ms = 0}));
  EXPECT_FALSE(validate(EvaluationPerformanceSLA{.memory_overhead_mb = -1}));
  const auto above = validate(EvaluationPerformanceSLA{.gpu_utilization_percent = 101});
  ASSERT_FALSE(above);
  EXPECT_EQ(above.error().kind, ErrorKind::Usage);
  EXPECT_THAT(above.error().message, testing::HasSubstr("gpu_utilization_percent"));
}

TEST(PerformanceSla, WhatARunWasEndedForIsViolatedWhateverWasMeasuredSince) {
  PerformanceMetrics metrics;
  metrics.impact = ImpactEstimate{};
  metrics.impact->verdict = ImpactVerdict::Unproven;
  metrics.impact->amortised = {.estimate = 0.06, .lower = 0.0499, .upper = 0.08};
  const EvaluationPerformanceSLA sla;
  EXPECT_EQ(sla.judge(metrics, Outcome::Finished).training_impact_percent.verdict,
            Verdict::NotMeasured);
  const MetricVerdict impact = sla.judge(metrics, Outcome::ImpactExceeded).training_impact_percent;
  EXPECT_EQ(impact.verdict, Verdict::Violated);
  EXPECT_DOUBLE_EQ(impact.value.value(), 4.99);
}

TEST(EnforceResourceLimits, GoesOnAtTheLimits) {
  EXPECT_FALSE(enforce_resource_limits(sample(megabytes(500), 64), {.processes = 64}, 299s));
}

TEST(EnforceResourceLimits, NamesMetricValueAndLimit) {
  const auto breach = enforce_resource_limits(sample(megabytes(512), 1), {}, 1s);
  ASSERT_TRUE(breach);
  EXPECT_EQ(breach->outcome, Outcome::OverMemory);
  EXPECT_EQ(breach->metric, "memory_mb");
  EXPECT_DOUBLE_EQ(breach->value, 512);
  EXPECT_DOUBLE_EQ(breach->limit, 500);
  EXPECT_EQ(breach->message(), "memory_mb 512.0 is above its limit 500");
}

TEST(EnforceResourceLimits, StopsAtTheTimeout) {
  const auto breach = enforce_resource_limits(sample({}, 1), {.timeout = 2s}, 2s);
  ASSERT_TRUE(breach);
  EXPECT_EQ(breach->outcome, Outcome::TimedOut);
  EXPECT_EQ(breach->metric, "timeout_s");
  EXPECT_EQ(breach->message(), "timeout_s 2.000 has reached its limit 2");
}

TEST(EnforceResourceLimits, CountsProcessesOnlyWhereTheyAreLimited) {
  EXPECT_FALSE(enforce_resource_limits(sample({}, 10'000), {}, 1s));
  const auto breach = enforce_resource_limits(sample({}, 4), {.processes = 3}, 1s);
  ASSERT_TRUE(breach);
  EXPECT_EQ(breach->outcome, Outcome::OverProcesses);
  EXPECT_EQ(breach->message(), "processes 4 is above its limit 3");
  EXPECT_DOUBLE_EQ(breach->value, 4);
}

TEST(EnforceResourceLimits, MemoryThatCannotBeSeenIsTooMuch) {
  ResourceSample hidden = sample({}, 1);
  hidden.descriptors_hidden = true;
  const auto breach = enforce_resource_limits(hidden, {}, 1s);
  ASSERT_TRUE(breach);
  EXPECT_EQ(breach->outcome, Outcome::OverMemory);
  for (const Uncounted why : {Uncounted::TooMany, Uncounted::NeverThere}) {
    ResourceSample mapped = sample({}, 1);
    mapped.uncounted = why;
    const auto uncounted = enforce_resource_limits(mapped, {}, 1s);
    ASSERT_TRUE(uncounted);
    EXPECT_EQ(uncounted->outcome, Outcome::OverMemory);
    EXPECT_THAT(uncounted->message(), testing::HasSubstr("shared memory"));
  }
}

TEST(EnforceResourceLimits, TheHostsGrowthIsNamedAndIsNoFigureOfTheTree) {
  ResourceSample bounded = sample(megabytes(50), 1);
  bounded.growth_of_host = megabytes(470);
  const auto breach = enforce_resource_limits(bounded, {}, 1s);
  ASSERT_TRUE(breach);
  EXPECT_EQ(breach->outcome, Outcome::OverMemory);
  EXPECT_DOUBLE_EQ(breach->value, 50);
  EXPECT_THAT(breach->message(), testing::HasSubstr("cannot be measured here; the host's grew by"
                                                    " 470 MB since the run began"));
}

}  // namespace
}  // namespace keisei::guard
