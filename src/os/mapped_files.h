#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "os/procfs.h"

namespace keisei::os {

/// A file in memory that a process maps; its pages may be in no page table.
struct MappedFile {
  FileId file;
  std::optional<Bytes> allocated;  ///< nothing where nobody tells, or it was moved meanwhile
};

/// Those of one process, each once.
struct MappedFileList {
  std::vector<MappedFile> files;
  bool complete = true;  ///< false: it maps more than is looked through
};

/// Whether this account may ask what such a file holds that nobody has open: by
/// /proc/PID/map_files, with CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN on the host.
[[nodiscard]] bool can_measure_mapped_files();

/// Whether a file is on the kernel's own mounts for shared memory or on this process's /dev/shm. A
/// mapping's name does not tell: its process may choose it (PR_SET_VMA_ANON_NAME).
[[nodiscard]] bool kept_in_memory(const FileId& file);

/// The file behind `path`, asked so that no file system makes the asker wait (FUSE).
[[nodiscard]] std::optional<MappedFile> ask_without_waiting(int directory, const char* path);

/// Which files in memory the processes of a tree map. Goes through a list of mappings only when the
/// process has other ones, as far as sizes tell, and once a second.
class MappedFiles {
 public:
  static constexpr std::size_t kMost = 4096;            // files of one process
  static constexpr std::size_t kLongestList = 1 << 20;  // bytes of its list of mappings

  /// What its statm says at each sample; 0: unknown.
  void note_size(pid_t pid, std::int64_t unwritable_pages);
  [[nodiscard]] bool size_known(pid_t pid) const;
  struct Asked {
    std::string process;  ///< where /proc shows what it maps
    MonotonicTime now;
  };
  [[nodiscard]] MappedFileList of(pid_t pid, const Asked& asked);
  void forget(pid_t pid) { known_.erase(pid); }
  void keep_only(std::vector<pid_t> living);

 private:
  struct Known {
    std::int64_t size = 0;
    std::int64_t size_when_read = -1;
    MonotonicTime next_read = {};
    std::vector<MappedRange> ranges = {};  // one of each file
    bool complete = true;
  };
  static void read(Known& known, const Asked& asked);
  struct Measured {
    MappedFileList list;
    bool moved = false;  ///< some are not where they were
  };
  static Measured measure(const Known& known, const std::string& process);

  std::unordered_map<pid_t, Known> known_;
};

}  // namespace keisei::os
