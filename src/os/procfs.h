#pragma once

#include <sys/types.h>

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

/// /proc/PID/status. A kernel thread or a zombie has no memory lines: all zero.
struct ProcessMemory {
  Bytes anonymous;  ///< RssAnon and what of it is swapped out
  Bytes shared;     ///< RssShmem: memfd, shm, tmpfs, MAP_SHARED|MAP_ANONYMOUS
  int threads = 0;
  Bytes file_backed = {};  ///< RssFile: what the kernel can drop and read again
};
[[nodiscard]] std::optional<ProcessMemory> parse_status(std::string_view text);

/// The last field of /proc/loadavg: the newest process or thread id. While it stands still, nothing
/// was forked.
[[nodiscard]] std::optional<pid_t> parse_newest_pid(std::string_view text);

/// One mapping of /proc/PID/smaps.
struct Mapping {
  std::uint64_t inode = 0;  ///< 0: anonymous
  bool shared_memory = false;
  Bytes proportional;   ///< Pss with SwapPss: what is shared is split among its users
  Bytes anonymous;      ///< private copies, also in a file's mapping
  Bytes resident = {};  ///< Rss: every page in full, private copies too
};
[[nodiscard]] std::vector<Mapping> parse_smaps(std::string_view text);

/// «MemTotal» of /proc/meminfo.
[[nodiscard]] std::optional<Bytes> parse_mem_total(std::string_view text);

/// All of a file under /proc; nothing where it is gone or unreadable.
[[nodiscard]] std::optional<std::string> read_proc(const std::string& path);

}  // namespace keisei::os
