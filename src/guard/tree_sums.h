#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/units.h"
#include "os/process_view.h"

namespace keisei::guard {

/// A file system in memory that only one tree writes to: what is used of it counts. `fd` is open
/// while samples are taken.
struct Scratch {
  int fd = -1;
  std::uint64_t device = 0;
};

/// Processes with what the cheap probe saw of each.
using MembersBySize = std::vector<std::pair<Bytes, pid_t>>;

/// What each of many processes has for itself alone.
struct AloneSum {
  Bytes of_those_read;
  bool above = false;  ///< the limit: all is known that has to be
  Bytes extrapolated;  ///< where it is: to all of them
};
/// Of many processes the lists of their mappings take so long to read that a tree grows by hundreds
/// of megabytes meanwhile. What each has for itself alone is told in a fraction of that, and no
/// page that was one's alone can become another's who was there before; what it took after the
/// cheap look may be what another one gave up. Those that need not be read any more are taken to
/// share as those that were. `members`: the largest first.
[[nodiscard]] AloneSum sum_alone(os::ProcessView& view, const MembersBySize& members, Bytes limit);

/// What an exact sum is made of, but for the processes.
struct ExactSumInput {
  Bytes limit;
  Bytes cheap;  ///< the cheap sum
  std::optional<Scratch> scratch = std::nullopt;
  Bytes scratch_used = {};
  bool kernel_holds_memory = false;             ///< a cgroup: who hides counts as nothing
  const std::set<os::FileId>& handed_in;        ///< memfds that do not count
  const std::vector<os::MemoryFile>& open;      ///< files in memory, each once
  const std::vector<os::MemoryFile>& unopened;  ///< the same, that are only mapped
};
struct ExactSum {
  Bytes sum;
  bool sure = false;  ///< hardly a page was shared in what was read: sharers could not mislead it
  bool mappings_hidden = false;
};
/// Each page once. A tree that shares hardly anything is known to be above the limit before all of
/// it is read, and then counts as the cheap sum. `members`: the largest first.
[[nodiscard]] ExactSum sum_exactly(os::ProcessView& view, const MembersBySize& members,
                                   const ExactSumInput& input);

}  // namespace keisei::guard
