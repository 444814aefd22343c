#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "os/descriptors.h"
#include "os/procfs.h"

namespace keisei::os {

/// Which processes are below which of the watched roots; one for all that a supervisor watches.
///   newest process id moved -> look at the ids that were given out since -> members of each tree
/// Looks through all of /proc only when the ids have wrapped round, when more were given out than
/// are worth a look each, and from time to time. Owned by one thread.
class ProcessTable {
 public:
  ProcessTable();

  /// From now on `root` has a tree; without it, since it is the init of ours. What is below it was
  /// given its id after it.
  void watch(pid_t root);
  void forget(pid_t root);
  /// Every living process below `root`. A process that has ended since may be among them.
  [[nodiscard]] std::vector<pid_t> descendants(pid_t root, MonotonicTime now);
  /// The same without a look. Not all of them while a new id belongs to nobody yet: complete().
  [[nodiscard]] std::span<const pid_t> known(pid_t root) const;
  [[nodiscard]] bool complete() const { return unborn_.empty(); }
  /// `pid` has ended.
  void drop(pid_t pid);

 private:
  struct Newborn {
    pid_t pid = 0;
    int looks_left = 0;
    MonotonicTime next_counts = {};
  };
  void refresh(MonotonicTime now);
  void look_at_newborn(pid_t first, pid_t last, MonotonicTime now);
  void scan_all();
  /// Adds those whose parent is in a tree; gives back the others.
  std::vector<ProcessStat> adopt(std::vector<ProcessStat> processes);
  [[nodiscard]] std::optional<pid_t> newest() const;
  [[nodiscard]] pid_t root_of(pid_t pid) const;  // 0: in no tree

  const SpareDescriptor spare_;  // for whoever looks at what this table names, too
  const double ticks_per_second_;
  const UniqueFd loadavg_;
  std::map<pid_t, std::vector<pid_t>> trees_;  // root -> members
  std::map<pid_t, pid_t> root_of_member_;
  std::optional<pid_t> newest_;
  std::vector<Newborn> unborn_;  // ids that were given out and are not there yet
  std::unordered_set<pid_t> strangers_;
  std::optional<MonotonicTime> next_full_;
};

}  // namespace keisei::os
