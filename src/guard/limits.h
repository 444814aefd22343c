#pragma once

#include <chrono>
#include <optional>

#include "base/result.h"
#include "base/units.h"

namespace keisei::guard {

/// What one run may use at most; each is enforced while it runs.
struct EvaluationLimits {
  int max_concurrent = 4;  ///< runs at once over all processes that share a slots directory
  std::chrono::nanoseconds timeout = std::chrono::seconds(300);  ///< wall clock, paused time counts
  Bytes memory = megabytes(500);  ///< private memory of the whole tree
  std::optional<double> cpu_percent =
      std::nullopt;  ///< CPU time of the tree, 100 = one core, kept by stop and go
  std::optional<int> processes = std::nullopt;  ///< processes at once; a worker without one gets 64
  std::optional<Bytes> file_size =
      std::nullopt;  ///< of each file it writes; a worker without one gets `memory`
  int queue = 16;    ///< how many may wait for a slot; one more is Rejected
};

/// Fails (Usage) on what cannot be meant or cannot be kept: zero, negative, memory above
/// `host_memory`. The message names the limit and what to set.
[[nodiscard]] Result<void> validate(const EvaluationLimits& limits, Bytes host_memory);

/// MemTotal of this host.
[[nodiscard]] Result<Bytes> host_memory();

}  // namespace keisei::guard
