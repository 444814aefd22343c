#pragma once

#include <cstdint>

namespace keisei::train {

/// Rates that change linearly from the first step to the last.
struct Schedule {
  double learning_rate_start = 1e-3;
  double learning_rate_end = 3e-4;
  double entropy_start = 0.01;
  double entropy_end = 0.001;
  std::int64_t total_steps = 1;  // >= 1

  /// At `step`; beyond total_steps the end values stay.
  [[nodiscard]] double learning_rate(std::int64_t step) const;
  [[nodiscard]] double entropy(std::int64_t step) const;
};

/// Whether an update has moved the policy so far from the one that played that the rest of its
/// epochs must be left out. `kl` is the mean over the last minibatch; a NaN stops too.
[[nodiscard]] bool kl_exceeds(double kl, double limit);

/// The factor that brings a gradient of this norm within `limit`: at most 1.
[[nodiscard]] double clip_factor(double norm, double limit);

/// Whether going from step `before` to step `after` reaches or passes a multiple of `interval`.
/// Exact also where steps per update and interval do not divide each other. interval >= 1.
[[nodiscard]] bool crosses_multiple(std::int64_t before, std::int64_t after, std::int64_t interval);

}  // namespace keisei::train
