#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "guard/cpu_governor.h"
#include "guard/performance_manager.h"
#include "guard/run_cgroup.h"
#include "guard/training_governor.h"
#include "guard/tree_pace.h"
#include "guard/tree_weight.h"
#include "os/launcher.h"

namespace keisei::guard {

/// What a tree gets of the processors: all it can take, what the training leaves over, or nothing
/// for a while. Its CPU limit, the training and whoever counts it have a say in that.
///   specify() -> limit_cpu(), follow_training() -> apply() again and again -> begin_ending()
class TreeShare {
 public:
  /// Both outlive it.
  TreeShare(const GuardedCommand& command, RunCgroup& cgroup)
      : command_(command), cgroup_(cgroup) {}

  /// How it begins.
  void specify(os::JailSpec& spec);
  /// By stop and go, since no cgroup holds it. 100: one core.
  void limit_cpu(double percent, MonotonicTime start) { cpu_limit_.emplace(percent, start); }
  [[nodiscard]] bool has_cpu_limit() const { return cpu_limit_.has_value(); }
  /// allow() counts from now on, or no more.
  void follow_training(bool follow) { follows_training_ = follow; }
  void allow(Pace pace) { training_allows_ = pace; }

  /// Whether anybody stops it and lets it go on while it runs, for longer than to count it.
  [[nodiscard]] bool is_paced() const { return cpu_limit_.has_value() || follows_training_; }
  /// Whether its weight can be lowered and lifted while it runs.
  [[nodiscard]] bool can_slack() const;
  /// Of a tree with these members that has used so much CPU time.
  void apply(os::Jail& jail, const std::vector<pid_t>& members, double cpu_seconds,
             MonotonicTime now);
  /// For an instant, in which it is counted. False where it is not to be stopped: what its user
  /// stopped must not go on, a shell would take the stop for its user's, and without a namespace
  /// the jail's init has to look for whom to stop, which takes longer.
  [[nodiscard]] bool stop_to_count(os::Jail& jail) const;
  /// After that, or while it runs: for so long, if it is not told again before; zero: for good.
  /// Nothing happens where it is not to be stopped.
  void go_on(os::Jail& jail, std::chrono::nanoseconds lease);
  /// At each look: what go_on() could not tell.
  void go_on_at_last(os::Jail& jail);
  /// Before its user stops it: all that stands still from then on is what he stopped.
  void end_lease(os::Jail& jail);
  /// Whether its user wants it to stand still, in whatever way he said so.
  void note_user_stop(bool stopped) { user_stopped_ = stopped; }
  /// Where somebody else made it go on.
  void stop_again(os::Jail& jail) const;
  [[nodiscard]] bool stopped() const { return pace_.stopped(); }
  [[nodiscard]] std::chrono::nanoseconds paused(MonotonicTime end) const {
    return pace_.paused(end);
  }

  /// Its end has begun, by itself or not: what is left is to end soon.
  void begin_ending() { cgroup_.hurry(); }
  /// Before the signal: at low weight it gets no processor to leave its locks with. True where all
  /// of it has a full share now.
  bool lift_to_die(const std::vector<pid_t>& members) { return weight_.lift_first(members); }
  /// What that did not manage; again when next_lift() comes.
  void lift(const std::vector<pid_t>& members) { weight_.lift(members); }
  [[nodiscard]] std::optional<MonotonicTime> next_lift(MonotonicTime now) const {
    return weight_.next_lift(now);
  }

 private:
  [[nodiscard]] bool may_stop_to_count(const os::Jail& jail) const;

  const GuardedCommand& command_;
  RunCgroup& cgroup_;
  std::optional<CpuGovernor> cpu_limit_;
  bool cpu_allows_ = true;
  bool follows_training_ = false;
  Pace training_allows_ = Pace::Burst;
  TreePace pace_;
  TreeWeight weight_;
  bool user_stopped_ = false;
};

}  // namespace keisei::guard
