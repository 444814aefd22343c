#include "guard/performance_sla.h"

#include <fmt/format.h>

#include <utility>

#include "base/clock.h"
#include "guard/resource_monitor.h"

namespace keisei::guard {
namespace {

MetricVerdict hold(std::optional<double> value, double limit) {
  if (!value) {
    return {.value = std::nullopt, .limit = limit, .verdict = Verdict::NotMeasured};
  }
  // Written so that a NaN is Violated.
  return {
      .value = value, .limit = limit, .verdict = *value < limit ? Verdict::Met : Verdict::Violated};
}

/// What may have been more is no pass, and what others did is no violation: the whole device's
/// figure is no less than the run's own share, so that it can only show a pass.
MetricVerdict hold_gpu(const std::optional<GpuRecord>& gpu, double limit) {
  if (!gpu) {
    return hold(std::nullopt, limit);
  }
  if (gpu->own_percent && hold(gpu->own_percent, limit).verdict == Verdict::Violated) {
    return hold(gpu->own_percent, limit);
  }
  MetricVerdict held = hold(gpu->utilization_percent, limit);
  const bool may_be_more = held.verdict == Verdict::Met && !gpu->complete;
  const bool may_be_others = held.verdict == Verdict::Violated && gpu->device_wide;
  if (may_be_more || may_be_others) {
    held.verdict = Verdict::NotMeasured;
  }
  return held;
}

/// By the bound that speaks, in percent; nothing where neither does.
MetricVerdict hold_impact(const std::optional<ImpactEstimate>& impact, double limit) {
  if (impact && impact->verdict == ImpactVerdict::Within) {
    return hold(100 * impact->amortised.upper, limit);
  }
  if (impact && impact->verdict == ImpactVerdict::Exceeded) {
    return hold(100 * impact->amortised.lower, limit);
  }
  return hold(std::nullopt, limit);
}

Result<void> check(double value, double highest, std::string_view name) {
  if (!(value > 0 && value <= highest)) {
    return usage_error("the SLA limit {} is {:g}, but must be above 0{}", name, value,
                       highest <= 100 ? " and at most 100" : "");
  }
  return {};
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::Met:
      return "Met";
    case Verdict::Violated:
      return "Violated";
    case Verdict::NotMeasured:
      return "NotMeasured";
  }
  return "";
}

SlaReport EvaluationPerformanceSLA::judge(const PerformanceMetrics& metrics) const {
  std::optional<double> memory;
  if (metrics.peak_memory) {
    memory = to_megabytes(*metrics.peak_memory);
  }
  return {.evaluation_latency_ms = hold(metrics.latency_ms, latency_ms),
          .memory_overhead_mb = hold(memory, memory_overhead_mb),
          .training_impact_percent = hold_impact(metrics.impact, training_impact_percent),
          .gpu_utilization_percent = hold_gpu(metrics.gpu, gpu_utilization_percent)};
}

SlaReport EvaluationPerformanceSLA::judge(const PerformanceMetrics& metrics,
                                          Outcome outcome) const {
  SlaReport report = judge(metrics);
  MetricVerdict& latency = report.evaluation_latency_ms;
  const bool complete = outcome == Outcome::Finished || outcome == Outcome::Partial;
  if (!complete && latency.verdict == Verdict::Met) {
    latency = hold(std::nullopt, latency.limit);
  }
  if (outcome == Outcome::OverMemory) {
    report.memory_overhead_mb.verdict = Verdict::Violated;
  }
  if (outcome == Outcome::ImpactExceeded && metrics.impact) {
    // It was above the limit when that ended the run; in the seconds since then time has passed.
    MetricVerdict& impact = report.training_impact_percent;
    impact.value = impact.value.value_or(100 * metrics.impact->amortised.lower);
    impact.verdict = Verdict::Violated;
  }
  return report;
}

Result<void> validate(const EvaluationPerformanceSLA& sla) {
  constexpr double kAny = 1e15;
  KEISEI_TRY_VOID(check(sla.latency_ms, kAny, "latency_ms"));
  KEISEI_TRY_VOID(check(sla.memory_overhead_mb, kAny, "memory_overhead_mb"));
  KEISEI_TRY_VOID(check(sla.training_impact_percent, 100, "training_impact_percent"));
  return check(sla.gpu_utilization_percent, 100, "gpu_utilization_percent");
}

namespace {

/// Why its memory is not known, where that counts against it.
std::optional<std::string> unseen(const ResourceSample& sample, const EvaluationLimits& limits) {
  if (sample.descriptors_hidden) {
    return "a process hides its descriptor table, so that its memory cannot be held to memory_mb";
  }
  if (sample.uncounted == Uncounted::TooMany) {
    return "it maps more than is looked through, so that its shared memory cannot be held to "
           "memory_mb";
  }
  if (sample.uncounted == Uncounted::NeverThere) {
    return "it maps shared memory so that it cannot be measured and held to memory_mb";
  }
  if (sample.growth_of_host && sample.memory <= limits.memory) {
    return fmt::format(
        "it maps shared memory that cannot be measured here; the host's grew by {:.0f} MB since "
        "the run began",
        to_megabytes(*sample.growth_of_host));
  }
  return std::nullopt;
}

}  // namespace

std::string Breach::message() const {
  if (!why.empty()) {
    return why;
  }
  if (outcome == Outcome::TimedOut) {
    return fmt::format("{} {:.3f} has reached its limit {:g}", metric, value, limit);
  }
  if (outcome == Outcome::OverMemory) {
    return fmt::format("{} {:.1f} is above its limit {:g}", metric, value, limit);
  }
  return fmt::format("{} {:.0f} is above its limit {:.0f}", metric, value, limit);
}

std::optional<Breach> enforce_resource_limits(const ResourceSample& sample,
                                              const EvaluationLimits& limits,
                                              std::chrono::nanoseconds elapsed) {
  if (std::optional<std::string> why = unseen(sample, limits)) {
    return Breach{.outcome = Outcome::OverMemory,
                  .metric = "memory_mb",
                  .value = to_megabytes(sample.memory),
                  .limit = to_megabytes(limits.memory),
                  .why = std::move(*why)};
  }
  if (sample.memory > limits.memory) {
    return Breach{.outcome = Outcome::OverMemory,
                  .metric = "memory_mb",
                  .value = to_megabytes(sample.memory),
                  .limit = to_megabytes(limits.memory)};
  }
  if (limits.processes && sample.processes > *limits.processes) {
    return Breach{.outcome = Outcome::OverProcesses,
                  .metric = "processes",
                  .value = static_cast<double>(sample.processes),
                  .limit = static_cast<double>(*limits.processes)};
  }
  if (elapsed >= limits.timeout) {
    return Breach{.outcome = Outcome::TimedOut,
                  .metric = "timeout_s",
                  .value = seconds(elapsed),
                  .limit = seconds(limits.timeout)};
  }
  return std::nullopt;
}

}  // namespace keisei::guard
