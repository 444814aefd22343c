#pragma once

#include <algorithm>

namespace keisei::guard {

/// How much training may still be lost, as a token bucket in seconds of training. With a limit of 5
/// %
///
///   earned(t)  = 0.04 t + min(3 s, 0.01 t)      t: seconds of training watched
///   credit     = what was earned and not charged, 3 s at most (fit() makes that more)
///
/// So as long as nothing runs beyond the credit, what is charged stays below 5 % of the training
/// after any time, and below 4 % of any later stretch plus what can be saved. The charge is an
/// upper bound that may fall when more is known: then its excess comes back. Pure.
class ImpactBudget {
 public:
  static constexpr double kSteady = 0.8;  ///< share of the limit that is always earned
  static constexpr double kCapacity = 3;  // seconds; of a training with long steps more

  /// `limit`: the share that may be lost, within (0, 1].
  explicit ImpactBudget(double limit) : limit_(limit) {}

  /// What a training with steps of that length needs to start at all: four of them.
  void fit(double step_s) { capacity_ = std::max(kCapacity, 4 * step_s); }
  /// Both since the beginning, in seconds.
  void update(double training_s, double charged_s);
  /// Negative where more was charged than earned.
  [[nodiscard]] double credit() const { return credit_; }
  [[nodiscard]] double capacity() const { return capacity_; }
  /// How long until the credit is that much (or full), if nothing is charged.
  [[nodiscard]] double seconds_until(double credit) const;

 private:
  [[nodiscard]] double earned(double training_s) const;

  double limit_;
  double capacity_ = kCapacity;
  double earned_ = 0;
  double charged_ = 0;
  double credit_ = 0;
};

}  // namespace keisei::guard
