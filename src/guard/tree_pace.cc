#include "guard/tree_pace.h"

#include <signal.h>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr double kEscape = 0.02;  // seconds of CPU time: more than the grain of the kernel's counts

}  // namespace

void TreePace::apply(bool stop, TreeBrake& brake, MonotonicTime now, double cpu_seconds) {
  if (!stop && stopped_since_) {
    paused_ += now - *stopped_since_;
    stopped_since_.reset();
    release(brake);
  } else if (stop && !stopped_since_) {
    stopped_since_ = now;
    settled_ = false;
    cpu_when_stopped_ = cpu_seconds;
    frozen_ = brake.freeze() || frozen_;
    if (!frozen_ || escapes_) {
      stop_once_more(brake);
    }
  } else if (stop && cpu_seconds > cpu_when_stopped_) {
    stop_who_goes_on(brake, cpu_seconds);
  }
}

/// Who is frozen still has some of its last instant to be counted.
void TreePace::stop_who_goes_on(TreeBrake& brake, double cpu_seconds) {
  if (frozen_ && settled_ && cpu_seconds < cpu_when_stopped_ + kEscape) {
    return;
  }
  escapes_ = escapes_ || (frozen_ && settled_);
  settled_ = true;
  cpu_when_stopped_ = cpu_seconds;
  if (!frozen_ || escapes_) {
    stop_once_more(brake);
  }
}

void TreePace::stop_once_more(TreeBrake& brake) {
  signalled_ = true;
  brake.signal(SIGSTOP);
}

bool TreePace::stop_to_count(TreeBrake& brake) const {
  return !stopped_since_ && brake.signal(SIGSTOP);
}

void TreePace::release(TreeBrake& brake) {
  frozen_ = frozen_ && !brake.thaw();
  if (signalled_ || owes_going_on_ || lease_ > 0ns) {
    signalled_ = false;
    go_on(brake, lease_);
  }
}

void TreePace::go_on(TreeBrake& brake, std::chrono::nanoseconds lease) {
  lease_ = lease;
  if (!stopped_since_) {  // else release() lets it go on
    owes_going_on_ = !brake.let_run(lease);
  }
}

void TreePace::end_lease(TreeBrake& brake) {
  if (lease_ > 0ns) {
    go_on(brake, 0ns);
  }
}

void TreePace::go_on_at_last(TreeBrake& brake) {
  if (!stopped_since_ && (frozen_ || signalled_ || owes_going_on_)) {
    release(brake);
  }
}

void TreePace::stop_again(TreeBrake& brake) const {
  if (signalled_) {
    brake.signal(SIGSTOP);
  }
}

std::chrono::nanoseconds TreePace::paused(MonotonicTime end) const {
  return stopped_since_ ? paused_ + (end - *stopped_since_) : paused_;
}

}  // namespace keisei::guard
