#pragma once

#include <chrono>
#include <optional>

#include "base/clock.h"
#include "guard/run_cgroup.h"
#include "os/launcher.h"

namespace keisei::guard {

/// Stops a tree, lets it go on, and keeps the account of stopped time:
///   wish -> the freezer of its cgroup, or SIGSTOP and SIGCONT to the tree
class TreePace {
 public:
  /// At any time, and again after each sample. `cpu_seconds`: what the tree has used so far; where
  /// that grows while it is stopped, it is stopped once more: a newborn may have missed the signal.
  void apply(bool stop, os::Jail& jail, RunCgroup& cgroup, MonotonicTime now, double cpu_seconds);
  [[nodiscard]] bool stopped() const { return stopped_since_.has_value(); }
  /// How long the tree stood still up to `end`.
  [[nodiscard]] std::chrono::nanoseconds paused(MonotonicTime end) const;

 private:
  std::optional<MonotonicTime> stopped_since_;
  double cpu_when_stopped_ = 0;
  std::chrono::nanoseconds paused_{0};  // stops that are over
};

}  // namespace keisei::guard
