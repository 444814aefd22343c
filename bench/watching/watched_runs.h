#pragma once

#include <string>
#include <vector>

#include "guard/performance_manager.h"

namespace keisei::bench {

/// What `main` of each bench does first: where the arguments ask for a victim («--victim KIND
/// ...»), be it, for ever. KIND: idle, busy, or touch HOW (malloc, shared, memfd, children:
/// two of them, hundred) [REST]: all are there and asleep for so many milliseconds first.
/// `touch` counts the megabytes that it touched in the shared page at kCounterFd.
void be_victim_if_asked(int argc, char** argv);

inline constexpr int kCounterFd = 9;

/// This program as a victim, worker profile.
[[nodiscard]] guard::GuardedCommand victim(std::vector<std::string> kind);

/// Runs all of them at once on one loop, the production road, and gives their ends.
[[nodiscard]] std::vector<guard::GuardedRun> run_all(std::vector<guard::GuardedCommand> commands,
                                                     const guard::EvaluationLimits& limits);

}  // namespace keisei::bench
