#include "guard/tree_pace.h"

#include <signal.h>

namespace keisei::guard {

void TreePace::apply(bool stop, os::Jail& jail, RunCgroup& cgroup, MonotonicTime now,
                     double cpu_seconds) {
  // A frozen init of the sweep would not see the guard go.
  const bool signals = jail.containment() == os::Containment::Sweep;
  if (!stop && stopped_since_) {
    if (signals || !cgroup.thaw()) {
      jail.signal_tree(SIGCONT);
    }
    paused_ += now - *stopped_since_;
    stopped_since_.reset();
  } else if (stop && (!stopped_since_ || cpu_seconds > cpu_when_stopped_)) {
    if (signals || !cgroup.freeze()) {
      jail.signal_tree(SIGSTOP);
    }
    cpu_when_stopped_ = cpu_seconds;
    stopped_since_ = stopped_since_.value_or(now);
  }
}

std::chrono::nanoseconds TreePace::paused(MonotonicTime end) const {
  return stopped_since_ ? paused_ + (end - *stopped_since_) : paused_;
}

}  // namespace keisei::guard
