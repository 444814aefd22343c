#pragma once

#include <chrono>
#include <optional>

#include "base/clock.h"
#include "os/launcher.h"

namespace keisei::guard {

/// Stops a tree with SIGSTOP, lets it go on with SIGCONT, and keeps the account of stopped time,
/// but for the instants in which it is counted. Not with the freezer of its cgroup, in which the
/// tree's init is too: frozen it would not see the guard go, and the tree would stand there for
/// ever.
class TreePace {
 public:
  /// At any time, and again after each sample. `cpu_seconds`: what the tree has used so far; where
  /// that grows while it is stopped, it is stopped once more: a newborn may have missed the signal.
  void apply(bool stop, os::Jail& jail, MonotonicTime now, double cpu_seconds);
  /// For an instant, in which it is counted. False where it stands anyway, or cannot be told.
  [[nodiscard]] bool stop_to_count(os::Jail& jail) const;
  /// After that.
  void go_on(os::Jail& jail);
  /// At each look: once more, where the jail had no room for that order.
  void go_on_at_last(os::Jail& jail);
  /// Where somebody else made it go on.
  static void stop_again(os::Jail& jail);
  [[nodiscard]] bool stopped() const { return stopped_since_.has_value(); }
  /// How long the tree stood still up to `end`.
  [[nodiscard]] std::chrono::nanoseconds paused(MonotonicTime end) const;

 private:
  std::optional<MonotonicTime> stopped_since_;
  double cpu_when_stopped_ = 0;
  bool owes_going_on_ = false;
  std::chrono::nanoseconds paused_{0};  // stops that are over
};

}  // namespace keisei::guard
