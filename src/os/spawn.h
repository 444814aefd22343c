#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "os/process.h"

namespace keisei::os {

/// posix_spawn with every descriptor above 2 that is not in `fds` closed (or close-on-exec, above
/// the highest named one), but for what the program itself closes. `path` is searched in PATH when
/// it has no slash. Signals that this process handles or ignores are back at their default, and
/// none but `blocked` is blocked. Blocks until the exec.
struct SpawnRequest {
  std::string path;
  std::span<const std::string> argv;
  std::span<const std::string> environment;
  std::span<const FdMapping> fds;
  bool own_process_group = false;
  std::span<const int> blocked = {};  ///< signals that wait until the program wants them
  /// What is between the named descriptors it closes itself; here each number is two system calls.
  bool program_closes_gaps = false;
};
[[nodiscard]] Result<pid_t> spawn(const SpawnRequest& request);

/// pidfd_open. The pid must be a child that nobody reaped.
[[nodiscard]] Result<UniqueFd> open_pidfd(pid_t pid);

/// A status word of wait(2).
[[nodiscard]] ExitStatus exit_status(int wait_status);

}  // namespace keisei::os
