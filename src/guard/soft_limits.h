#pragma once

#include <chrono>
#include <optional>

#include "base/unique_fd.h"
#include "guard/limits.h"
#include "guard/resource_monitor.h"

namespace keisei::guard {

/// Whether `memory` is at 80 % of its limit or above.
[[nodiscard]] bool nears_memory_limit(Bytes memory, const EvaluationLimits& limits);

/// When a run is told that its time runs out: 80 % of the timeout, but at most 5 s before it. That
/// is enough to end with what is finished, and wastes little of a long evaluation.
[[nodiscard]] std::chrono::nanoseconds timeout_warning_at(const EvaluationLimits& limits);

/// Warns a run that nears a limit, once for each; holds nothing back itself.
///   sample -> at 80 %: one byte to the worker (os/warning.h), the time for the record
class SoftLimits {
 public:
  /// `to_worker`: the write end, nonblocking; -1 where nobody listens.
  SoftLimits(EvaluationLimits limits, UniqueFd to_worker)
      : limits_(limits), to_worker_(std::move(to_worker)) {}

  void look(const ResourceSample& sample, std::chrono::nanoseconds elapsed);

  /// When it was warned, since its admission.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> memory() const { return memory_; }
  [[nodiscard]] std::optional<std::chrono::nanoseconds> timeout() const { return timeout_; }

 private:
  EvaluationLimits limits_;
  UniqueFd to_worker_;
  std::optional<std::chrono::nanoseconds> memory_;
  std::optional<std::chrono::nanoseconds> timeout_;
};

}  // namespace keisei::guard
