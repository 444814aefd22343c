#include "os/mapped_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/unique_fd.h"

namespace keisei::os {
namespace {

using namespace std::chrono_literals;

constexpr auto kRest = 1s;  // where sizes tell of no change

std::string link_of(const std::string& process, const MappedRange& range) {
  return fmt::format("{}/map_files/{:x}-{:x}", process, range.begin, range.end);
}

bool measure_own() {
  constexpr std::size_t kSize = 4096;
  void* memory = mmap(nullptr, kSize, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return false;
  }
  const auto begin = reinterpret_cast<std::uintptr_t>(memory);
  const std::string link = link_of("/proc/self", {.begin = begin, .end = begin + kSize});
  const bool measured = ask_without_waiting(AT_FDCWD, link.c_str()).has_value();
  munmap(memory, kSize);
  return measured;
}

/// Empty where no descriptor is left to find out.
std::vector<std::uint64_t> find_memory_devices() {
  std::vector<std::uint64_t> devices;
  struct stat status = {};
  for (const unsigned pages :
       {0U, MFD_HUGETLB, MFD_HUGETLB | MFD_HUGE_2MB, MFD_HUGETLB | MFD_HUGE_1GB}) {
    const UniqueFd file(memfd_create("device", MFD_CLOEXEC | pages));
    if (file && fstat(file.get(), &status) == 0) {
      devices.push_back(status.st_dev);
    } else if (pages == 0) {
      return {};
    }
  }
  struct statfs mount = {};
  if (statfs("/dev/shm", &mount) == 0 && mount.f_type == TMPFS_MAGIC &&
      stat("/dev/shm", &status) == 0) {
    devices.push_back(status.st_dev);
  }
  return devices;
}

}  // namespace

bool can_measure_mapped_files() {
  static const bool can = measure_own();
  return can;
}

bool kept_in_memory(const FileId& file) {
  thread_local std::vector<std::uint64_t> devices;
  if (devices.empty()) {
    devices = find_memory_devices();
  }
  return file.inode != 0 && std::ranges::find(devices, file.device) != devices.end();
}

std::optional<MappedFile> ask_without_waiting(int directory, const char* path) {
  struct statx status = {};
  if (statx(directory, path, AT_STATX_DONT_SYNC, STATX_INO | STATX_BLOCKS, &status) != 0) {
    return std::nullopt;
  }
  return MappedFile{.file = {.device = makedev(status.stx_dev_major, status.stx_dev_minor),
                             .inode = status.stx_ino},
                    .allocated = Bytes{static_cast<std::int64_t>(status.stx_blocks) * 512}};
}

void MappedFiles::note_size(pid_t pid, std::int64_t unwritable_pages) {
  known_[pid].size = unwritable_pages;
}

bool MappedFiles::size_known(pid_t pid) const {
  const auto known = known_.find(pid);
  return known != known_.end() && known->second.size != 0;
}

void MappedFiles::keep_only(std::vector<pid_t> living) {
  std::ranges::sort(living);
  std::erase_if(
      known_, [&](const auto& entry) { return !std::ranges::binary_search(living, entry.first); });
}

MappedFileList MappedFiles::of(pid_t pid, const Asked& asked) {
  Known& known = known_[pid];
  if (known.size != 0 && known.size == known.size_when_read && asked.now < known.next_read) {
    if (Measured measured = measure(known, asked.process); !measured.moved) {
      return std::move(measured.list);
    }
  }
  read(known, asked);
  return measure(known, asked.process).list;
}

void MappedFiles::read(Known& known, const Asked& asked) {
  known.size_when_read = known.size;
  known.next_read = asked.now + kRest;
  known.ranges.clear();
  const std::string text = read_proc(asked.process + "/maps", kLongestList).value_or("");
  known.complete = text.size() < kLongestList;
  std::set<FileId> seen;
  for (const MappedRange& range : parse_maps(text)) {
    if (!kept_in_memory(range.file) || !seen.insert(range.file).second) {
      continue;
    }
    if (known.ranges.size() == kMost) {
      known.complete = false;
      return;
    }
    known.ranges.push_back(range);
  }
}

MappedFiles::Measured MappedFiles::measure(const Known& known, const std::string& process) {
  Measured measured;
  measured.list.complete = known.complete;
  for (const MappedRange& range : known.ranges) {
    measured.list.files.push_back({.file = range.file, .allocated = std::nullopt});
    if (!can_measure_mapped_files()) {
      continue;
    }
    const auto there = ask_without_waiting(AT_FDCWD, link_of(process, range).c_str());
    if (there && there->file == range.file) {
      measured.list.files.back().allocated = there->allocated;
    } else if (there || (errno != EACCES && errno != EPERM)) {
      measured.moved = true;
    }
  }
  return measured;
}

}  // namespace keisei::os
