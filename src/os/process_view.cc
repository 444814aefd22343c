#include "os/process_view.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <string_view>

namespace keisei::os {
namespace {

constexpr std::size_t kMostKept = 64;  // descriptors; of processes beyond that, each look opens one

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

std::optional<int> to_int(const char* name) {
  const std::string_view text(name);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(value)
                                                                  : std::nullopt;
}

bool host_can_swap() {
  // «Filename Type Size Used Priority», then a line per device.
  const std::optional<std::string> swaps = read_proc("/proc/swaps");
  return !swaps || std::ranges::count(*swaps, '\n') > 1;
}

std::optional<ProcessPages> read_pages(const UniqueFd& statm) {
  std::array<char, 128> buffer{};
  const ssize_t got = pread(statm.get(), buffer.data(), buffer.size(), 0);
  return got > 0 ? parse_statm({buffer.data(), static_cast<std::size_t>(got)}) : std::nullopt;
}

std::string directory_of(pid_t pid) { return fmt::format("/proc/{}", pid); }

/// Where the memory and descriptors of a process show whose first thread has ended before the
/// others: at one of those. Nothing where none is left.
std::optional<std::string> thread_directory_of(pid_t pid) {
  const std::string tasks = directory_of(pid) + "/task";
  const Directory directory(opendir(tasks.c_str()));
  while (const dirent* entry = directory ? readdir(directory.get()) : nullptr) {
    const std::optional<int> thread = to_int(entry->d_name);
    if (thread && *thread != pid) {
      return fmt::format("{}/{}", tasks, *thread);
    }
  }
  return std::nullopt;
}

/// Of a process that ends the memory goes first, and then nobody may read its descriptor table.
bool without_memory(const std::string& directory) {
  return read_proc(directory + "/statm").value_or("0 ").starts_with("0 ");
}

/// A memfd or a file in /dev/shm: the link names it, and only then is it worth a stat. `hidden`
/// where the link must not be read, which listing the table need not show.
std::optional<MemoryFile> memory_file(int directory, const char* entry, int& hidden) {
  char target[64];
  const ssize_t length = readlinkat(directory, entry, target, sizeof target);
  hidden += length < 0 && (errno == EACCES || errno == EPERM) ? 1 : 0;
  const std::string_view name(target, length > 0 ? static_cast<std::size_t>(length) : 0);
  struct stat status = {};
  if ((!name.starts_with("/memfd:") && !name.starts_with("/dev/shm/")) ||
      fstatat(directory, entry, &status, 0) != 0) {
    return std::nullopt;
  }
  return MemoryFile{.file = {.device = status.st_dev, .inode = status.st_ino},
                    .allocated = {status.st_blocks * 512}};
}

}  // namespace

ProcfsView::ProcfsView(ProcessTable& table)
    : table_(table),
      ticks_per_second_(static_cast<double>(sysconf(_SC_CLK_TCK))),
      page_bytes_(sysconf(_SC_PAGESIZE)),
      can_swap_(host_can_swap()) {}

ProcfsView::~ProcfsView() { table_.forget(root_); }

std::vector<pid_t> ProcfsView::descendants(pid_t root) {
  if (root != root_) {
    table_.forget(root_);
    kept_.clear();
    root_ = root;
    table_.watch(root);
  }
  return table_.descendants(root, MonotonicClock::now());
}

std::optional<ProcessStat> ProcfsView::stat(pid_t pid) {
  const std::optional<std::string> text = read_proc(fmt::format("/proc/{}/stat", pid));
  return text ? parse_stat(*text, ticks_per_second_) : std::nullopt;
}

/// A system call instead of a file, and to the nanosecond: it is asked with every sample.
std::chrono::nanoseconds ProcfsView::cpu_time(pid_t pid) {
  clockid_t clock = 0;
  timespec time = {};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) {
    return {};
  }
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

bool ProcfsView::living(pid_t pid) {
  const std::optional<ProcessStat> process = stat(pid);
  return process && !ended(*process);
}

void ProcfsView::drop(pid_t pid) {
  kept_.erase(pid);
  table_.drop(pid);
}

std::optional<ProcessMemory> ProcfsView::whole_memory(pid_t pid) {
  std::optional<std::string> text = read_proc(directory_of(pid) + "/status");
  if (text && text->find("\nState:\tZ") != std::string::npos) {
    if (const std::optional<std::string> thread = thread_directory_of(pid)) {
      text = read_proc(*thread + "/status");
    }
  }
  return text ? parse_status(*text) : std::nullopt;
}

std::optional<ProcessMemory> ProcfsView::memory(pid_t pid) {
  Kept spare;
  Kept& kept = kept_.size() < kMostKept || kept_.contains(pid) ? kept_[pid] : spare;
  if (!kept.statm) {
    kept.statm = UniqueFd(open((directory_of(pid) + "/statm").c_str(), O_RDONLY | O_CLOEXEC));
  }
  const bool unreadable = !kept.statm && errno != ENOENT && errno != ESRCH;
  const std::optional<ProcessPages> pages = read_pages(kept.statm);
  const bool without_pages = !pages || pages->resident == 0;  // or its first thread has ended
  if (without_pages && !unreadable && !living(pid)) {
    drop(pid);
    return std::nullopt;
  }
  if (without_pages || can_swap_ || pages->shared != kept.shared_pages) {
    const std::optional<ProcessMemory> whole = whole_memory(pid);
    if (whole && pages) {
      kept.last = *whole;
      kept.shared_pages = pages->shared;
    }
    return whole;
  }
  ProcessMemory memory = kept.last;
  memory.anonymous = {(pages->resident - pages->shared) * page_bytes_};
  return memory;
}

std::optional<ProcessIo> ProcfsView::io(pid_t pid) {
  const std::optional<std::string> text = read_proc(fmt::format("/proc/{}/io", pid));
  return text ? parse_io(*text) : std::nullopt;
}

Bytes ProcfsView::used_of_file_system(int fd) {
  struct statfs status = {};
  if (fstatfs(fd, &status) != 0) {
    return {};
  }
  return {static_cast<std::int64_t>(status.f_blocks - status.f_bfree) * status.f_bsize};
}

std::string ProcfsView::readable_directory(pid_t pid) {
  const std::optional<ProcessStat> process = stat(pid);
  return process && process->state == 'Z' ? thread_directory_of(pid).value_or(directory_of(pid))
                                          : directory_of(pid);
}

std::optional<std::vector<MemoryFile>> ProcfsView::memory_files(pid_t pid) {
  const std::string process = readable_directory(pid);
  const Directory directory(opendir((process + "/fd").c_str()));
  std::vector<MemoryFile> files;
  if (!directory) {
    const bool forbidden = errno == EACCES || errno == EPERM;
    if (forbidden && !without_memory(process)) {
      return std::nullopt;
    }
    return files;  // gone in the meantime
  }
  int hidden = 0;
  while (const dirent* entry = readdir(directory.get())) {
    if (entry->d_name[0] == '.') {
      continue;
    }
    if (const std::optional<MemoryFile> file =
            memory_file(dirfd(directory.get()), entry->d_name, hidden)) {
      files.push_back(*file);
    }
  }
  return hidden > 0 && !without_memory(process) ? std::nullopt : std::optional(files);
}

std::vector<Mapping> ProcfsView::mappings(pid_t pid) {
  const std::optional<std::string> text = read_proc(readable_directory(pid) + "/smaps");
  return text ? parse_smaps(*text) : std::vector<Mapping>{};
}

}  // namespace keisei::os
