#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"
#include "guard/limits.h"
#include "guard/outcome.h"

namespace keisei::guard {

struct ResourceSample;
struct PerformanceMetrics;

/// NotMeasured is neither a pass nor a failure.
enum class Verdict { Met, Violated, NotMeasured };
[[nodiscard]] std::string_view to_string(Verdict verdict);

/// One metric held against its limit, in the unit of the limit's name.
struct MetricVerdict {
  std::optional<double> value = std::nullopt;
  double limit = 0;
  Verdict verdict = Verdict::NotMeasured;
};

struct SlaReport {
  MetricVerdict evaluation_latency_ms;
  MetricVerdict memory_overhead_mb;
  MetricVerdict training_impact_percent;
  MetricVerdict gpu_utilization_percent;
};

/// What an evaluation promises. Each metric must stay strictly below its limit.
struct EvaluationPerformanceSLA {
  double latency_ms = 5000;
  double memory_overhead_mb = 500;  ///< MB = 10^6 bytes
  double training_impact_percent = 5;
  double gpu_utilization_percent = 80;

  [[nodiscard]] SlaReport judge(const PerformanceMetrics& metrics) const;
  /// The same of a run that ended as `outcome`. Where it did not come to its end, its time so far
  /// is no latency (NotMeasured) unless that is beyond the limit already. A run that was ended for
  /// its memory, or for what it cost the training, violates that limit, whatever was measured.
  [[nodiscard]] SlaReport judge(const PerformanceMetrics& metrics, Outcome outcome) const;
};

/// Fails (Usage) on a limit that is not positive, or a percentage above 100.
[[nodiscard]] Result<void> validate(const EvaluationPerformanceSLA& sla);

/// A breach of a limit: `value` and `limit` in the unit that `metric` names (timeout_s, memory_mb,
/// processes, tasks).
struct Breach {
  Outcome outcome;
  std::string metric;
  double value = 0;
  double limit = 0;
  std::string why = {};  ///< where it takes more than the values to tell
  /// One sentence that names all three, made when it is asked for: a kill does not wait for it.
  [[nodiscard]] std::string message() const;
};

/// Holds one sample against the limits: nothing means go on. A pure function. `elapsed` is wall
/// time since the command was started, stopped time included.
[[nodiscard]] std::optional<Breach> enforce_resource_limits(const ResourceSample& sample,
                                                            const EvaluationLimits& limits,
                                                            std::chrono::nanoseconds elapsed);

}  // namespace keisei::guard
