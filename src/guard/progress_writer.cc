#include "guard/progress_writer.h"

#include <fmt/format.h>
#include <keisei_progress.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "os/procfs.h"

namespace keisei::guard {
namespace {

/// A mapping of our own, never read: the file may be shorter than it by now.
class Mapped {
 public:
  explicit Mapped(int file)
      : page_(::mmap(nullptr, KEISEI_PROGRESS_SIZE, PROT_READ, MAP_SHARED, file, 0)) {}
  ~Mapped() {
    if (page_ != MAP_FAILED) {
      ::munmap(page_, KEISEI_PROGRESS_SIZE);
    }
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;

  [[nodiscard]] std::uint64_t address() const {
    return page_ == MAP_FAILED ? 0 : reinterpret_cast<std::uintptr_t>(page_);
  }

 private:
  void* page_;
};

/// As /proc/PID/maps names it, which on overlayfs and btrfs is not what fstat says.
std::optional<os::FileId> mapped_id_of(int file) {
  const Mapped mapped(file);
  const std::optional<std::string> text = os::read_proc("/proc/self/maps");
  if (mapped.address() == 0 || !text) {
    return std::nullopt;
  }
  const auto ranges = os::parse_maps(*text);
  const auto found = std::ranges::find(ranges, mapped.address(), &os::MappedRange::begin);
  return found == ranges.end() ? std::nullopt : std::optional(found->file);
}

}  // namespace

WritesProgress writes_progress(int process, int progress) {
  const std::optional<os::FileId> file = mapped_id_of(progress);
  const auto text = os::read_proc(fmt::format("/proc/self/fd/{}/maps", process));
  if (!file || !text) {
    return WritesProgress::Unknown;
  }
  const bool writes = std::ranges::any_of(os::parse_maps(*text), [&](const os::MappedRange& range) {
    return range.writes_through && range.file == *file;
  });
  return writes ? WritesProgress::Yes : WritesProgress::No;
}

}  // namespace keisei::guard
