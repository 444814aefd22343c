#pragma once

#include <optional>
#include <string>

#include "guard/training_trial.h"

namespace keisei::guard {

/// Whether an evaluation at the lowest weight leaves a training its processors on this host: it
/// does not where the kernel gives sessions no weight, or weighs a cgroup that is not ours.
struct Isolation {
  std::optional<double> slack_loss;  ///< share of its rate that a training loses; nothing: not seen
  std::string sentence;              ///< what was seen, or why nothing was
  bool interrupted = false;          ///< by SIGINT or SIGTERM
};

/// Pure.
[[nodiscard]] Isolation isolation_of(const TrialEvidence& evidence);

/// Blocks for about 2.5 s, and uses every core: before the training begins.
[[nodiscard]] Isolation test_isolation();

}  // namespace keisei::guard
