#pragma once

#include <chrono>
#include <optional>

#include "base/clock.h"

namespace keisei::guard {

/// What makes a tree stand still.
class TreeBrake {
 public:
  virtual ~TreeBrake() = default;
  /// All of it at once, and nothing in it is told. False where there is no freezer.
  virtual bool freeze() = 0;
  /// False: it is still frozen.
  virtual bool thaw() = 0;
  /// To all of it. False: not now.
  virtual bool signal(int number) = 0;
  /// It goes on where signal(SIGSTOP), or the end of a lease, has stopped it; after `lease` it is
  /// stopped, unless one of these two comes before; zero: never. False: not now.
  virtual bool let_run(std::chrono::nanoseconds lease) = 0;
};

/// Stops a tree, lets it go on, and keeps the account of stopped time, but for the instants in
/// which it is counted. By the freezer where there is one; with SIGSTOP where there is none, and of
/// a tree that goes on all the same: whoever leaves the cgroup is not frozen.
class TreePace {
 public:
  /// At any time, and again after each sample. `cpu_seconds`: what the tree has used so far; where
  /// that grows while it is stopped, it is stopped once more: a newborn may have missed the signal.
  void apply(bool stop, TreeBrake& brake, MonotonicTime now, double cpu_seconds);
  /// For an instant, in which it is counted. False where it stands anyway, or cannot be told.
  [[nodiscard]] bool stop_to_count(TreeBrake& brake) const;
  /// After that, or while it runs: for so long; zero: for good. Where it is to stand still for
  /// another reason, from the end of that on.
  void go_on(TreeBrake& brake, std::chrono::nanoseconds lease);
  /// Before somebody else stops it: from now on it stands still only where it is told to.
  void end_lease(TreeBrake& brake);
  /// At each look: once more, what could not be told.
  void go_on_at_last(TreeBrake& brake);
  /// Where somebody else made it go on.
  void stop_again(TreeBrake& brake) const;
  [[nodiscard]] bool stopped() const { return stopped_since_.has_value(); }
  /// How long the tree stood still up to `end`.
  [[nodiscard]] std::chrono::nanoseconds paused(MonotonicTime end) const;

 private:
  void stop_who_goes_on(TreeBrake& brake, double cpu_seconds);
  void stop_once_more(TreeBrake& brake);
  void release(TreeBrake& brake);

  std::optional<MonotonicTime> stopped_since_;
  bool frozen_ = false;
  bool signalled_ = false;
  bool settled_ = false;  // what it used before it stood still has been counted
  bool escapes_ = false;  // it went on once, though it was frozen
  double cpu_when_stopped_ = 0;
  bool owes_going_on_ = false;
  std::chrono::nanoseconds lease_{0};   // it may have been stopped since, at the end of that
  std::chrono::nanoseconds paused_{0};  // stops that are over
};

}  // namespace keisei::guard
