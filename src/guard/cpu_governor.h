#pragma once

#include <optional>

#include "base/clock.h"

namespace keisei::guard {

/// Holds a tree to a share of CPU time by stop and go on measured CPU time. A pure control law: it
/// is told time and use, and says whether the tree may run. A tree that used less than its share
/// saves at most 100 ms worth of it.
class CpuGovernor {
 public:
  /// `percent`: 100 is one core.
  CpuGovernor(double percent, MonotonicTime start) : share_(percent / 100), last_(start) {}

  /// True: run; false: stop.
  [[nodiscard]] bool may_run(MonotonicTime now, double cpu_seconds);

 private:
  double share_;           // CPU seconds per second
  MonotonicTime last_;     // of the last call
  double used_ = 0;        // CPU seconds at the last call
  double balance_ = 0.01;  // CPU seconds it may use; below zero it must stop
  bool running_ = true;
};

}  // namespace keisei::guard
