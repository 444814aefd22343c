#pragma once

#include <sys/types.h>

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"

namespace keisei::os {

// Parsers of what /proc says: pure functions; nothing on text that is not of that kind.

/// /proc/PID/stat
struct ProcessStat {
  pid_t pid = 0;
  char state = '?';
  pid_t parent = 0;
  int threads = 0;
  double cpu_seconds = 0;         ///< user and system, its own
  double reaped_cpu_seconds = 0;  ///< of children it waited for
  std::uint64_t start_ticks = 0;  ///< with pid, the process's identity
};
[[nodiscard]] std::optional<ProcessStat> parse_stat(std::string_view text, double ticks_per_second);

/// A zombie with threads has only lost its first one.
[[nodiscard]] bool ended(const ProcessStat& process);

/// /proc/PID/status. A kernel thread or a zombie has no memory lines: all zero.
struct ProcessMemory {
  Bytes anonymous;  ///< RssAnon and what of it is swapped out
  Bytes shared;     ///< RssShmem: memfd, shm, tmpfs, MAP_SHARED|MAP_ANONYMOUS
  int threads = 0;
  Bytes file_backed = {};  ///< RssFile: what the kernel can drop and read again
};
[[nodiscard]] std::optional<ProcessMemory> parse_status(std::string_view text);

/// «Tgid» of /proc/ID/status: the process that a thread belongs to.
[[nodiscard]] std::optional<pid_t> parse_thread_group(std::string_view text);
/// «PPid» of the same.
[[nodiscard]] std::optional<pid_t> parse_parent(std::string_view text);

/// /proc/PID/statm, in pages. A zombie has none.
struct ProcessPages {
  std::int64_t resident = 0;
  std::int64_t shared = 0;      ///< of these, file-backed or shared memory: the rest is private
  std::int64_t unwritable = 0;  ///< of the address space, what is not private, writable or a stack
};
[[nodiscard]] std::optional<ProcessPages> parse_statm(std::string_view text);

/// /proc/PID/io: what reached a block device, of the process, its dead threads and every child that
/// it waited for. Written pages count when they are dirtied, also where the file is gone before
/// they are on disk; memory file systems count nothing.
struct ProcessIo {
  Bytes read;
  Bytes written;
};
[[nodiscard]] std::optional<ProcessIo> parse_io(std::string_view text);

/// A file as the kernel tells files apart.
struct FileId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  friend auto operator<=>(const FileId&, const FileId&) = default;
};

/// The last field of /proc/loadavg: the newest process or thread id. While it stands still, nothing
/// was forked.
[[nodiscard]] std::optional<pid_t> parse_newest_pid(std::string_view text);

/// One mapping of /proc/PID/smaps.
struct Mapping {
  FileId file = {};            ///< all zero: anonymous
  bool shared_memory = false;  ///< by its name, which need not tell
  Bytes proportional;          ///< Pss with SwapPss: what is shared is split among its users
  Bytes anonymous;             ///< private copies, also in a file's mapping
  Bytes resident = {};         ///< Rss: every page in full, private copies too
};
[[nodiscard]] std::vector<Mapping> parse_smaps(std::string_view text);

/// The anonymous memory of a process, from /proc/PID/smaps_rollup.
struct AnonymousShare {
  Bytes resident;      ///< every page in full
  Bytes proportional;  ///< a page of n processes is split among them
  /// So much of it, at least, no other process maps: a shared page counts by half at most.
  [[nodiscard]] constexpr Bytes alone() const {
    return std::max(Bytes{}, proportional + proportional - resident);
  }
};
/// Nothing where the kernel does not tell (before Linux 5.4).
[[nodiscard]] std::optional<AnonymousShare> parse_smaps_rollup(std::string_view text);

/// One line of /proc/PID/maps.
struct MappedRange {
  std::uint64_t begin = 0;      ///< its first address
  std::uint64_t end = 0;        ///< the first one after it
  FileId file = {};             ///< all zero: anonymous
  bool writes_through = false;  ///< shared and writable: a store into it changes the file
};
[[nodiscard]] std::vector<MappedRange> parse_maps(std::string_view text);

/// The first line of /proc/stat: processor time of the machine since its start that was neither
/// idle nor spent waiting for a disk, time stolen by its host included.
[[nodiscard]] std::optional<double> parse_busy_seconds(std::string_view text,
                                                       double ticks_per_second);

/// «MemTotal» of /proc/meminfo.
[[nodiscard]] std::optional<Bytes> parse_mem_total(std::string_view text);

/// «Shmem» of /proc/meminfo: all files in memory of the machine, as far as they are not swapped
/// out.
[[nodiscard]] std::optional<Bytes> parse_shared_total(std::string_view text);

/// The living children of all threads of a process (/proc/PID/task/*/children); none where it is
/// gone, or where the kernel does not tell.
[[nodiscard]] std::vector<pid_t> children_of(pid_t pid);

/// CPU seconds of a process, by the scheduler's own account, to the nanosecond: /proc counts in
/// ticks of 10 ms. Nothing where it is gone.
[[nodiscard]] std::optional<double> cpu_seconds_of(pid_t pid);

/// All of a file under /proc, or its first `most` bytes; nothing where it is gone or unreadable.
[[nodiscard]] std::optional<std::string> read_proc(const std::string& path,
                                                   std::size_t most = std::string::npos);

}  // namespace keisei::os
