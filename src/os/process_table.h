#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "os/descriptors.h"
#include "os/procfs.h"

namespace keisei::os {

/// What there is to look at: the host's processes, or those of a test.
class ProcessSource {
 public:
  virtual ~ProcessSource() = default;
  /// The id that was given out last; nothing: nobody tells.
  [[nodiscard]] virtual std::optional<pid_t> newest() = 0;
  /// Ids of all processes, threads left out.
  [[nodiscard]] virtual std::vector<pid_t> all() = 0;
  /// Of a thread too; nothing: it is not there.
  [[nodiscard]] virtual std::optional<ProcessStat> stat(pid_t id) = 0;
  [[nodiscard]] virtual bool is_thread(pid_t id) = 0;
};
/// /proc.
[[nodiscard]] std::unique_ptr<ProcessSource> host_processes();

/// Which processes are below which of the watched roots; one for all that a supervisor watches.
///   newest process id moved -> look at the ids that were given out since -> members of each tree
/// Looks through all processes only when the ids have wrapped round, when more were given out than
/// are worth a look each, when a root is watched that is older than the last look, every 500 ms in
/// which it is asked, and each time where nobody tells the newest id. Owned by one thread.
class ProcessTable {
 public:
  explicit ProcessTable(std::unique_ptr<ProcessSource> source = host_processes());

  /// From now on `root` has a tree; without it, since it is the init of ours. What is below it was
  /// given its id after it.
  void watch(pid_t root);
  void forget(pid_t root);
  /// Every living process below `root`. A process that has ended since may be among them.
  [[nodiscard]] std::vector<pid_t> descendants(pid_t root, MonotonicTime now);
  /// The same without a look. Perhaps not all of them while a new id belongs to nobody yet, or a
  /// look through all processes is due: complete().
  [[nodiscard]] std::span<const pid_t> known(pid_t root) const;
  [[nodiscard]] bool complete(MonotonicTime now) const {
    return unborn_.empty() && !owes_full_look_ && next_full_ && now < *next_full_;
  }
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
  [[nodiscard]] pid_t root_of(pid_t pid) const;  // 0: in no tree

  const SpareDescriptor spare_;  // for whoever looks at what this table names, too
  const std::unique_ptr<ProcessSource> source_;
  std::map<pid_t, std::vector<pid_t>> trees_;  // root -> members
  std::map<pid_t, pid_t> root_of_member_;
  std::optional<pid_t> newest_;  // at the last look
  bool owes_full_look_ = false;  // ids since then do not tell all
  std::vector<Newborn> unborn_;  // ids that were given out and are not there yet
  std::unordered_set<pid_t> strangers_;
  std::optional<MonotonicTime> next_full_;
};

}  // namespace keisei::os
