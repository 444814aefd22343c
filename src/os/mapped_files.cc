#include "os/mapped_files.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>

namespace keisei::os {
namespace {

using namespace std::chrono_literals;

constexpr auto kRest = 1s;   // where sizes tell of no change
constexpr auto kUsed = 5ms;  // of CPU time: who has not run since has no other mappings

std::string link_of(const std::string& process, const MappedRange& range) {
  return fmt::format("{}/map_files/{:x}-{:x}", process, range.begin, range.end);
}

bool measure_own() {
  constexpr std::size_t kSize = 4096;
  void* memory = mmap(nullptr, kSize, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return false;
  }
  struct stat status = {};
  const auto begin = reinterpret_cast<std::uintptr_t>(memory);
  const std::string link = link_of("/proc/self", {.begin = begin, .end = begin + kSize});
  const bool measured = stat(link.c_str(), &status) == 0;
  munmap(memory, kSize);
  return measured;
}

}  // namespace

bool can_measure_mapped_files() {
  static const bool can = measure_own();
  return can;
}

void MappedFiles::note_size(pid_t pid, std::int64_t unwritable_pages) {
  known_[pid].size = unwritable_pages;
}

bool MappedFiles::size_known(pid_t pid) const {
  const auto known = known_.find(pid);
  return known != known_.end() && known->second.size != 0;
}

void MappedFiles::keep_only(const std::vector<pid_t>& living) {
  std::erase_if(known_, [&](const auto& entry) {
    return std::ranges::find(living, entry.first) == living.end();
  });
}

std::vector<MappedFile> MappedFiles::of(pid_t pid, const Asked& asked) {
  Known& known = known_[pid];
  const bool due =
      asked.now >= known.next_read && asked.cpu_time >= known.cpu_time_when_read + kUsed;
  if (known.size != 0 && known.size == known.size_when_read && !due) {
    if (Measured measured = measure(known, asked.process); !measured.moved) {
      return std::move(measured.files);
    }
  }
  read(known, asked);
  return measure(known, asked.process).files;
}

void MappedFiles::read(Known& known, const Asked& asked) {
  known.size_when_read = known.size;
  known.cpu_time_when_read = asked.cpu_time;
  known.next_read = asked.now + kRest;
  known.ranges.clear();
  std::set<FileId> seen;
  for (const MappedRange& range : parse_maps(read_proc(asked.process + "/maps").value_or(""))) {
    if (range.shared_memory && seen.insert(range.file).second) {
      known.ranges.push_back(range);
    }
  }
}

MappedFiles::Measured MappedFiles::measure(const Known& known, const std::string& process) {
  Measured measured;
  for (const MappedRange& range : known.ranges) {
    measured.files.push_back({.file = range.file, .allocated = std::nullopt});
    struct stat status = {};
    if (!can_measure_mapped_files()) {
      continue;
    }
    const bool there = stat(link_of(process, range).c_str(), &status) == 0;
    if (there && FileId{.device = status.st_dev, .inode = status.st_ino} == range.file) {
      measured.files.back().allocated = Bytes{status.st_blocks * 512};
    } else if (there || (errno != EACCES && errno != EPERM)) {
      measured.moved = true;
    }
  }
  return measured;
}

}  // namespace keisei::os
