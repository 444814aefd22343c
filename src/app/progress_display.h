#pragma once

#include "app/progress.h"
#include "base/clock.h"

namespace keisei::app {

/// Progress on stderr: one line that is rewritten on a terminal, a line now and then elsewhere.
/// Errors are ignored: a terminal that went away must not take the supervisor with it. One thread.
class ProgressDisplay {
 public:
  ProgressDisplay();

  void show(const ProgressState& state, MonotonicTime now);
  /// Takes the progress line away, before a line that stays.
  void clear();

 private:
  const bool terminal_;
  bool dirty_ = false;
  MonotonicTime last_{};
};

}  // namespace keisei::app
