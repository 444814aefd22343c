#pragma once

#include <chrono>
#include <cstddef>

#include "base/clock.h"
#include "base/units.h"

namespace keisei::guard {

/// How long a tree may go unseen, and what it can take meanwhile: so that one that only polling
/// holds gets some 64 MB above its limit at most where two processors fill 3 GB/s each. What is
/// left up to the limit is then not used up before the next look, while the wait is not clamped
/// from below. Pure.
class LookPace {
 public:
  /// `processors`: that the tree can use at once.
  LookPace(Bytes limit, unsigned processors);

  struct Tree {
    Bytes memory;           ///< all that it is believed to have
    std::size_t tasks = 1;  ///< processes or threads, whichever are more
    bool grows = false;     ///< or did a moment ago
    bool settled = false;   ///< it has its size, starts nobody, and nothing of it is hidden
  };
  /// Until the next look: 2 to 20 ms, and as much less than 2 as one that grows has more than two
  /// processors at work; up to 40 for a settled one that is far from its limit even after these.
  [[nodiscard]] std::chrono::nanoseconds until_next_look(const Tree& tree) const;
  /// For a settled one far from its limit; elsewhere less than what any may.
  [[nodiscard]] std::chrono::nanoseconds until_next_look_settled(Bytes memory) const;
  /// Until descriptor tables have to be read again: 2 to 100 ms.
  [[nodiscard]] std::chrono::nanoseconds until_next_scan(Bytes memory) const;
  /// 120 MB or more below its limit.
  [[nodiscard]] bool is_far(Bytes memory) const;
  /// What may be taken while the guard waits behind every task of the tree: for the processor, or
  /// for a lock that one of them holds who waits for it. 120 MB at least.
  [[nodiscard]] static Bytes taken_while_all_run(std::size_t tasks);

 private:
  Bytes limit_;
  unsigned processors_;
};

/// Where `wait` is 20 or 40 ms or more: the last multiple of that before its end, so that far from
/// their limits all runs are looked at in the same instants, and four are one wake-up.
[[nodiscard]] MonotonicTime next_common_instant(MonotonicTime now, std::chrono::nanoseconds wait);

}  // namespace keisei::guard
