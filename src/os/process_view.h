#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "os/procfs.h"

namespace keisei::os {

/// A file in memory that a process holds open.
struct MemoryFile {
  std::uint64_t inode = 0;
  Bytes allocated;
};

/// What the operating system tells about processes: the seam at which tests put their own.
class ProcessView {
 public:
  virtual ~ProcessView() = default;
  /// Every living process below `root`, without it.
  [[nodiscard]] virtual std::vector<pid_t> descendants(pid_t root) = 0;
  [[nodiscard]] virtual std::optional<ProcessStat> stat(pid_t pid) = 0;
  [[nodiscard]] virtual std::optional<ProcessMemory> memory(pid_t pid) = 0;
  /// Nothing where the descriptor table of a living process must not be read.
  [[nodiscard]] virtual std::optional<std::vector<MemoryFile>> memory_files(pid_t pid) = 0;
  /// Dear: tens of milliseconds for a large process.
  [[nodiscard]] virtual std::vector<Mapping> mappings(pid_t pid) = 0;
};

/// /proc of this machine. Looks for new processes only when the newest process id has moved.
class ProcfsView : public ProcessView {
 public:
  ProcfsView();
  [[nodiscard]] std::vector<pid_t> descendants(pid_t root) override;
  [[nodiscard]] std::optional<ProcessStat> stat(pid_t pid) override;
  [[nodiscard]] std::optional<ProcessMemory> memory(pid_t pid) override;
  [[nodiscard]] std::optional<std::vector<MemoryFile>> memory_files(pid_t pid) override;
  [[nodiscard]] std::vector<Mapping> mappings(pid_t pid) override;

 private:
  /// Where to read what a process holds, also when its first thread has ended before the others.
  [[nodiscard]] std::string readable_directory(pid_t pid);
  void rescan(pid_t root);
  /// Living processes that are not known strangers; those that are go into `still`.
  [[nodiscard]] std::vector<ProcessStat> list_unfamiliar(pid_t root,
                                                         std::unordered_set<pid_t>& still);

  double ticks_per_second_;
  pid_t root_ = 0;
  std::optional<pid_t> newest_;
  std::vector<pid_t> known_;             // descendants of root_ at the last scan
  std::unordered_set<pid_t> strangers_;  // seen outside the tree at the last scan
  int scans_ = 0;
};

}  // namespace keisei::os
