#pragma once

#include <string>

#include "base/result.h"
#include "base/units.h"
#include "guard/doctor.h"

namespace keisei::guard {

/// Tries on this host what a jail can do, down the production road, and reads the rest. Blocks for
/// a second or less. A jail that cannot be started is a fact, not an error; fails where
/// keisei-attack is missing.
[[nodiscard]] Result<HostFacts> examine_host();

/// «Linux 6.18.44, 2 cores, 24.6 GB, root».
[[nodiscard]] std::string describe_host();

}  // namespace keisei::guard
