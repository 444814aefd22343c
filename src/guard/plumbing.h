#pragma once

#include <set>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "guard/performance_manager.h"
#include "os/process.h"
#include "os/procfs.h"

namespace keisei::guard {

/// The descriptors of a command, with the ends that this process reads (nonblocking) and those it
/// closes after the start.
struct Plumbing {
  std::vector<os::FdMapping> fds;
  std::vector<UniqueFd> for_child;
  UniqueFd report;
  UniqueFd stderr_pipe;
  UniqueFd warning;  ///< the write end of what a worker reads at os::kWarningFd, nonblocking too

  [[nodiscard]] bool names(int child_fd) const;
  [[nodiscard]] Result<UniqueFd> add_pipe(int child_fd);
  [[nodiscard]] Result<UniqueFd> add_warning();
};
[[nodiscard]] Result<Plumbing> plumb(const GuardedCommand& command);

/// The memfds that nobody can change or grow any more: the caller's memory, not the
/// tree's.
[[nodiscard]] std::set<os::FileId> sealed_files(std::span<const InheritedFd> fds);

}  // namespace keisei::guard
