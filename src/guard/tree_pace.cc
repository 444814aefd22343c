#include "guard/tree_pace.h"

#include <signal.h>

namespace keisei::guard {

void TreePace::apply(bool stop, os::Jail& jail, MonotonicTime now, double cpu_seconds) {
  if (!stop && stopped_since_) {
    jail.signal_tree(SIGCONT);
    paused_ += now - *stopped_since_;
    stopped_since_.reset();
  } else if (stop && (!stopped_since_ || cpu_seconds > cpu_when_stopped_)) {
    jail.signal_tree(SIGSTOP);
    cpu_when_stopped_ = cpu_seconds;
    stopped_since_ = stopped_since_.value_or(now);
  }
}

void TreePace::stand_still(bool still, os::Jail& jail) const {
  if (!stopped_since_) {
    jail.signal_tree(still ? SIGSTOP : SIGCONT);
  }
}

void TreePace::stop_again(os::Jail& jail) { jail.signal_tree(SIGSTOP); }

std::chrono::nanoseconds TreePace::paused(MonotonicTime end) const {
  return stopped_since_ ? paused_ + (end - *stopped_since_) : paused_;
}

}  // namespace keisei::guard
