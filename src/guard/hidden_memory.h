#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "os/process_view.h"

namespace keisei::guard {

/// Files in memory that a tree maps and that nothing else counts: no process has them open, and
/// their pages need not be in any page table.
///   mappings of each process -> the file behind each -> what it holds, or only that it is there
/// Where nobody tells what they hold, the growth of the whole host's shared memory since the run
/// began bounds it: the lowest figure so far is what others had.
class HiddenMemory {
 public:
  /// `watch_host`: for bound().
  explicit HiddenMemory(bool watch_host) : watch_host_(watch_host) {}

  using IsCounted = std::function<bool(const os::FileId&)>;
  /// Looks again, where the last look was no more than a fifth of the time since.
  void look(os::ProcessView& view, const std::vector<pid_t>& members, const IsCounted& counted,
            MonotonicTime now);
  [[nodiscard]] const std::vector<os::MemoryFile>& files() const { return files_; }
  /// What they hold beyond `resident`, the pages that page tables show: never too little.
  [[nodiscard]] Bytes beyond(Bytes resident) const;
  /// The tree's shared memory at most, where some of it stays unknown.
  [[nodiscard]] std::optional<Bytes> bound() const;

 private:
  void look_at_host(os::ProcessView& view, MonotonicTime now);

  const bool watch_host_;
  std::vector<os::MemoryFile> files_;
  int unknown_in_a_row_ = 0;  // looks
  std::optional<MonotonicTime> next_look_;
  std::optional<MonotonicTime> next_look_at_host_;
  std::optional<Bytes> lowest_of_host_;
  Bytes growth_of_host_;
};

}  // namespace keisei::guard
