#include "os/process_view.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <memory>
#include <string_view>

namespace keisei::os {
namespace {

constexpr int kFullScanEvery = 16;  // forget the strangers: a process id may have been used again

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

/// A zombie with threads has only lost its first one.
bool dead(const ProcessStat& process) {
  return process.state == 'X' || (process.state == 'Z' && process.threads <= 1);
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
  return MemoryFile{.inode = status.st_ino, .allocated = {status.st_blocks * 512}};
}

}  // namespace

ProcfsView::ProcfsView() : ticks_per_second_(static_cast<double>(sysconf(_SC_CLK_TCK))) {}

std::vector<pid_t> ProcfsView::descendants(pid_t root) {
  const std::optional<std::string> load = read_proc("/proc/loadavg");
  const std::optional<pid_t> newest = load ? parse_newest_pid(*load) : std::nullopt;
  if (!newest || newest != newest_ || root != root_) {
    rescan(root);
    newest_ = newest;
  }
  return known_;
}

std::vector<ProcessStat> ProcfsView::list_unfamiliar(pid_t root, std::unordered_set<pid_t>& still) {
  std::vector<ProcessStat> unfamiliar;
  const Directory directory(opendir("/proc"));
  while (const dirent* entry = directory ? readdir(directory.get()) : nullptr) {
    const std::optional<pid_t> pid = to_int(entry->d_name);
    if (!pid || *pid == root) {
      continue;
    }
    if (strangers_.contains(*pid)) {
      still.insert(*pid);
    } else if (const std::optional<ProcessStat> found = stat(*pid); found && !dead(*found)) {
      unfamiliar.push_back(*found);
    }
  }
  return unfamiliar;
}

void ProcfsView::rescan(pid_t root) {
  if (root != root_ || ++scans_ % kFullScanEvery == 0) {
    strangers_.clear();
    root_ = root;
  }
  std::unordered_set<pid_t> strangers;
  const std::vector<ProcessStat> unfamiliar = list_unfamiliar(root, strangers);
  std::unordered_set<pid_t> members;
  std::size_t before = 0;
  do {  // until no parent link leads to another one
    before = members.size();
    for (const ProcessStat& process : unfamiliar) {
      if (process.parent == root || members.contains(process.parent)) {
        members.insert(process.pid);
      }
    }
  } while (members.size() != before);
  for (const ProcessStat& process : unfamiliar) {
    const bool outside = process.parent <= 2 || strangers.contains(process.parent);
    if (outside && !members.contains(process.pid)) {
      strangers.insert(process.pid);
    }
  }
  known_.assign(members.begin(), members.end());
  strangers_ = std::move(strangers);
}

std::optional<ProcessStat> ProcfsView::stat(pid_t pid) {
  const std::optional<std::string> text = read_proc(fmt::format("/proc/{}/stat", pid));
  return text ? parse_stat(*text, ticks_per_second_) : std::nullopt;
}

std::optional<ProcessMemory> ProcfsView::memory(pid_t pid) {
  std::optional<std::string> text = read_proc(directory_of(pid) + "/status");
  if (text && text->find("\nState:\tZ") != std::string::npos) {
    if (const std::optional<std::string> thread = thread_directory_of(pid)) {
      text = read_proc(*thread + "/status");
    }
  }
  return text ? parse_status(*text) : std::nullopt;
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
