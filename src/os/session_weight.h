#pragma once

#include <sys/types.h>

#include <span>

namespace keisei::os {

/// Whether this kernel gives each session a weight of its own (sched_autogroup_enabled): without
/// it, and in a cgroup with the cpu controller, lowering one does nothing. Ask after this process
/// has gone to its cgroup: that it is moved later is not noticed.
[[nodiscard]] bool sessions_have_weights();

/// Gives the sessions of all `members` the weight of nice 19, or lifts it to that of nice 0
/// (/proc/PID/autogroup), but never our own: that would slow us down, and whoever shares our
/// terminal. A member that has not left ours yet is passed over; ask again later. False where one
/// refused: without CAP_SYS_ADMIN the kernel takes ten such changes a second. True where there is
/// nobody.
bool set_weight(std::span<const pid_t> members, bool low);

}  // namespace keisei::os
