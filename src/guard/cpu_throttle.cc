#include "guard/cpu_throttle.h"

#include <signal.h>

namespace keisei::guard {

void CpuThrottle::govern(os::Jail& jail, RunCgroup& cgroup, MonotonicTime now, double cpu_seconds) {
  const bool may_run = governor_.may_run(now, cpu_seconds);
  if (may_run && paused_since_) {
    if (jail.containment() == os::Containment::Sweep || !cgroup.thaw()) {
      jail.signal_tree(SIGCONT);
    }
    paused_ += now - *paused_since_;
    paused_since_.reset();
  } else if (!may_run && (!paused_since_ || cpu_seconds > cpu_when_paused_)) {
    // Again where it went on: a newborn may have missed the signal.
    // A frozen init of the sweep would not see the guard go.
    if (jail.containment() == os::Containment::Sweep || !cgroup.freeze()) {
      jail.signal_tree(SIGSTOP);
    }
    cpu_when_paused_ = cpu_seconds;
    paused_since_ = paused_since_.value_or(now);
  }
}

std::chrono::nanoseconds CpuThrottle::paused(MonotonicTime end) const {
  return paused_since_ ? paused_ + (end - *paused_since_) : paused_;
}

}  // namespace keisei::guard
