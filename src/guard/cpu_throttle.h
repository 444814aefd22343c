#pragma once

#include <chrono>
#include <optional>

#include "base/clock.h"
#include "guard/cpu_governor.h"
#include "guard/run_cgroup.h"
#include "os/launcher.h"

namespace keisei::guard {

/// The hand of the CPU limit: stops a tree, lets it go on and keeps the account of stopped time.
///   measured CPU time -> CpuGovernor -> the freezer of its cgroup, or SIGSTOP and SIGCONT to the
///   tree
class CpuThrottle {
 public:
  /// `percent`: 100 is one core.
  CpuThrottle(double percent, MonotonicTime start) : governor_(percent, start) {}

  /// After each sample, while the tree is to live.
  void govern(os::Jail& jail, RunCgroup& cgroup, MonotonicTime now, double cpu_seconds);
  /// How long the tree stood still up to `end`.
  [[nodiscard]] std::chrono::nanoseconds paused(MonotonicTime end) const;

 private:
  CpuGovernor governor_;
  std::optional<MonotonicTime> paused_since_;
  double cpu_when_paused_ = 0;
  std::chrono::nanoseconds paused_{0};  // pauses that are over
};

}  // namespace keisei::guard
