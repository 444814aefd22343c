#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "base/clock.h"

namespace keisei::guard {

/// A trainer's process and all that descend from it: workers that load data, play games, compile.
/// What evaluations take from them is taken from the training, and what they do is no disturbance
/// by others.
///
///   /proc/PID/task/*/children -> members -> CPU clocks of processes -> CPU seconds
///
/// Looks for new members once a second. What one did before it was found, children that come and
/// go between two looks, and all beyond the first 64 count as others'. Where the kernel names no
/// children it is the trainer alone. Used by one thread.
class TrainerFamily {
 public:
  struct Roots {
    pid_t trainer = -1;
    /// A descendant that is none of it, with all of its own: whoever watches, where the trainer has
    /// started it. The same holds for every other `keisei` among them.
    pid_t guard = -1;
  };
  /// REQUIRES: two processes.
  explicit TrainerFamily(Roots roots);

  /// What its members have used since each was found, up to now; it never falls. `now` decides
  /// whether to look for new ones.
  [[nodiscard]] double cpu_seconds(MonotonicTime now);
  [[nodiscard]] std::vector<pid_t> members() const;

 private:
  struct Member {
    pid_t pid = 0;
    std::uint64_t start_ticks = 0;  // with pid, its identity
    double last = 0;                // CPU seconds
  };

  void look_around();
  void add(pid_t pid);

  Roots roots_;
  std::vector<Member> members_;  // the trainer first
  MonotonicTime next_look_;
  double used_ = 0;
};

}  // namespace keisei::guard
