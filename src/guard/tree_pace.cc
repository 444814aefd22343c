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

bool TreePace::stop_to_count(os::Jail& jail) const {
  return !stopped_since_ && jail.signal_tree(SIGSTOP);
}

void TreePace::go_on(os::Jail& jail) { owes_going_on_ = !jail.signal_tree(SIGCONT); }

void TreePace::go_on_at_last(os::Jail& jail) {
  if (owes_going_on_ && !stopped_since_) {
    go_on(jail);
  }
}

void TreePace::stop_again(os::Jail& jail) { jail.signal_tree(SIGSTOP); }

std::chrono::nanoseconds TreePace::paused(MonotonicTime end) const {
  return stopped_since_ ? paused_ + (end - *stopped_since_) : paused_;
}

}  // namespace keisei::guard
