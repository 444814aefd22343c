#pragma once

#include "app/command.h"

namespace keisei::app {

/// `keisei guard -- CMD`: runs any command down the guarded road.
void add_guard_command(CLI::App& root, CommandAction& chosen);

/// Of `keisei guard` alone, in the manner of timeout(1): the other codes are the command's own.
inline constexpr int kGuardTimedOut = 124;
inline constexpr int kGuardFailed = 125;  // or was misused
inline constexpr int kGuardKilled = 137;  // for a limit, or from outside

}  // namespace keisei::app
