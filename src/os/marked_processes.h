#pragma once

#include <sys/types.h>

#include <string_view>
#include <vector>

namespace keisei::os {

/// Whether `mark` is among the arguments of a living process, or in the environment that it was
/// started with. Asked of each of its threads until one answers: the first may have ended. False
/// where this account may not read them.
[[nodiscard]] bool carries_mark(pid_t pid, std::string_view mark);

/// All of them but this one. Reads the whole of /proc.
[[nodiscard]] std::vector<pid_t> find_marked_processes(std::string_view mark);

}  // namespace keisei::os
