#pragma once

#include <sys/types.h>
#include <time.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "os/descriptors.h"
#include "os/mapped_files.h"
#include "os/process_table.h"
#include "os/procfs.h"

namespace keisei::os {

/// A file in memory that a process holds open.
struct MemoryFile {
  FileId file;
  Bytes allocated;
};

/// What the operating system tells about processes: the seam at which tests put their own.
class ProcessView {
 public:
  virtual ~ProcessView() = default;
  /// Every living process below `root`, without it.
  [[nodiscard]] virtual std::vector<pid_t> descendants(pid_t root) = 0;
  [[nodiscard]] virtual std::optional<ProcessStat> stat(pid_t pid) = 0;
  /// CPU time of a living process, without its children; zero where it is not told.
  [[nodiscard]] virtual std::chrono::nanoseconds cpu_time(pid_t pid) = 0;
  /// Whether whoever does anything shows in cpu_time(), and whoever was started before the last
  /// descendants() was in it. Not where the kernel counts in ticks, nor before the owner of a new
  /// id is known.
  [[nodiscard]] virtual bool shows_all_activity() = 0;
  /// Without its threads; nothing of a process that has ended.
  [[nodiscard]] virtual std::optional<ProcessMemory> memory(pid_t pid) = 0;
  /// Nothing where it may not be asked for.
  [[nodiscard]] virtual std::optional<ProcessIo> io(pid_t pid) = 0;
  /// What is used of the file system that `fd` is in; nothing where it does not tell.
  [[nodiscard]] virtual Bytes used_of_file_system(int fd) = 0;
  /// Nothing where the descriptor table of a living process must not be read.
  [[nodiscard]] virtual std::optional<std::vector<MemoryFile>> memory_files(pid_t pid) = 0;
  /// Whether something was not seen since the last call, for want of a descriptor to read it with.
  [[nodiscard]] virtual bool out_of_descriptors() { return false; }
  /// Files in memory that it maps, also where its page table has no page of them.
  [[nodiscard]] virtual MappedFileList mapped_files(pid_t pid, MonotonicTime now) = 0;
  /// What all files in memory of this machine hold; nothing where it does not tell.
  [[nodiscard]] virtual std::optional<Bytes> shared_memory_of_host() = 0;
  /// Dear: tens of milliseconds for a large process. Nothing where those of a living process must
  /// not be read.
  [[nodiscard]] virtual std::optional<std::vector<Mapping>> mappings(pid_t pid) = 0;
  /// As dear for a large process, and a fraction of it for a small one. Nothing where the kernel
  /// does not tell, or where the process has ended.
  [[nodiscard]] virtual std::optional<AnonymousShare> anonymous_share(pid_t pid) = 0;
};

/// /proc of this machine, for one tree. Keeps files of each process open, since opening costs more
/// than reading: of 64 processes what is read at every sample, of 8 of them what is read ten times
/// a second too, and of fewer where this process may not have so many. Reads the dearer «status»
/// only after pages came or went that are not private, or where the machine can swap.
class ProcfsView : public ProcessView {
 public:
  /// `table` outlives the view.
  explicit ProcfsView(ProcessTable& table);
  ~ProcfsView() override;
  ProcfsView(const ProcfsView&) = delete;
  ProcfsView& operator=(const ProcfsView&) = delete;

  [[nodiscard]] std::vector<pid_t> descendants(pid_t root) override;
  [[nodiscard]] std::optional<ProcessStat> stat(pid_t pid) override;
  [[nodiscard]] std::chrono::nanoseconds cpu_time(pid_t pid) override;
  [[nodiscard]] bool shows_all_activity() override;
  [[nodiscard]] std::optional<ProcessMemory> memory(pid_t pid) override;
  [[nodiscard]] std::optional<ProcessIo> io(pid_t pid) override;
  [[nodiscard]] Bytes used_of_file_system(int fd) override;
  [[nodiscard]] std::optional<std::vector<MemoryFile>> memory_files(pid_t pid) override;
  [[nodiscard]] bool out_of_descriptors() override;
  [[nodiscard]] MappedFileList mapped_files(pid_t pid, MonotonicTime now) override;
  [[nodiscard]] std::optional<Bytes> shared_memory_of_host() override;
  [[nodiscard]] std::optional<std::vector<Mapping>> mappings(pid_t pid) override;
  [[nodiscard]] std::optional<AnonymousShare> anonymous_share(pid_t pid) override;

 private:
  struct Kept {
    DescriptorShare share;
    bool whole = false;  // also the next three
    UniqueFd stat;
    UniqueFd io;
    OpenDirectory descriptors;  // at its last read it had some
    UniqueFd statm;
    std::optional<clockid_t> cpu_clock;
    std::optional<std::int64_t> shared_pages;  // when `last` was read
    ProcessMemory last;
  };
  /// Of `pid`; `spare` of one that keep() was not told of, or had no room for.
  [[nodiscard]] Kept& kept(pid_t pid, Kept& spare);
  /// Until drop(): so of the root, and of what has memory.
  void keep(pid_t pid);
  /// Where to read what a process holds, also when its first thread has ended before the others.
  [[nodiscard]] std::string readable_directory(pid_t pid);
  [[nodiscard]] bool living(pid_t pid);
  [[nodiscard]] std::optional<ProcessMemory> whole_memory(pid_t pid);
  void drop(pid_t pid);

  ProcessTable& table_;
  const double ticks_per_second_;
  const std::int64_t page_bytes_;
  const bool can_swap_;
  const bool exact_cpu_time_;
  pid_t root_ = 0;
  std::vector<pid_t> told_;  // as the last descendants()
  std::unordered_map<pid_t, Kept> kept_;
  MappedFiles mapped_;
  int failures_seen_;
};

}  // namespace keisei::os
