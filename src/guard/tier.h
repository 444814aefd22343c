#pragma once

#include <optional>

#include "guard/performance_manager.h"
#include "guard/record.h"
#include "os/launcher.h"

namespace keisei::guard {

/// `limits` with what the profile adds where nothing was said.
[[nodiscard]] EvaluationLimits with_profile_defaults(EvaluationLimits limits, Profile profile);

/// The jail that holds `limits` for `command`.
[[nodiscard]] os::JailSpec jail_spec(const GuardedCommand& command, const EvaluationLimits& limits);

/// What holds this run, as its jail told. `hold` is nothing where no tree was started;
/// `mapped_is_measured`: os::can_measure_mapped_files().
[[nodiscard]] Tier describe_tier(const GuardedCommand& command, const EvaluationLimits& limits,
                                 const std::optional<os::JailHold>& hold,
                                 bool mapped_is_measured = true);

}  // namespace keisei::guard
