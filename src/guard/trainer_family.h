#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/unique_fd.h"

namespace keisei::guard {

/// A trainer's process and all that descend from it: workers that load data, play games, compile.
/// What evaluations take from them is taken from the training, and what they do is no disturbance
/// by others.
///
///   /proc/PID/task/*/children -> members -> /proc/PID/stat -> CPU seconds
///
/// Looks for new members once a second; what one did before it was found, and what one did after
/// its parent had gone, counts as others'. Where the kernel names no children it is the trainer
/// alone. Used by one thread.
class TrainerFamily {
 public:
  /// `guard`: a descendant that is none of it, with all of its own: whoever watches, where the
  /// trainer has started it. The same holds for every other `keisei` among them.
  TrainerFamily(pid_t trainer, pid_t guard);

  /// Of all members so far, those included that their parents have waited for. Nothing where the
  /// trainer is gone.
  [[nodiscard]] std::optional<double> cpu_seconds(MonotonicTime now);
  [[nodiscard]] std::vector<pid_t> members() const;

 private:
  struct Member {
    pid_t pid = 0;
    UniqueFd stat;  // of this very process: reading fails when it is gone
  };

  void look_around();

  pid_t trainer_;
  pid_t guard_;
  std::vector<Member> members_;  // the trainer first
  MonotonicTime next_look_;
};

}  // namespace keisei::guard
