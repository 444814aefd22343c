#pragma once

#include <sys/types.h>

#include <span>
#include <vector>

#include "base/unique_fd.h"

namespace keisei::os {

/// Kills those of `members` that still are below `init`, each by itself. The kernel kills all with
/// their init, but only when the init gets a processor. Where this account may (CAP_SYS_NICE) the
/// dying run at real-time priority: they have nothing left to do but to give their memory back,
/// which takes 40 ms for 500 MB and twice that or more among busy processes. Returns handles of at
/// most 64 that were killed; a process id that was used again is not touched.
[[nodiscard]] std::vector<UniqueFd> kill_members(pid_t init, std::span<const pid_t> members);

/// Frees the memory of dying processes from the calling thread (process_mrelease, Linux 5.15),
/// whose processor time is added to their own. Blocks until it is free: tens of milliseconds.
void release_memory(std::span<const UniqueFd> dying);

}  // namespace keisei::os
