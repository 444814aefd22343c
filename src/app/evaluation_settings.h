#pragma once

#include <filesystem>

#include "app/options.h"
#include "base/result.h"
#include "eval/evaluation_manager.h"
#include "guard/limits.h"
#include "guard/performance_sla.h"

namespace keisei::app {

/// [evaluation.limits] as the guard takes it. Fails (Usage) on what this host cannot keep.
[[nodiscard]] Result<guard::EvaluationLimits> limits_from(const Options& options);

/// [evaluation.sla] as the guard takes it.
[[nodiscard]] guard::EvaluationPerformanceSLA sla_from(const Options& options);

/// [evaluation] for evaluations that are kept in `run_directory`. Fails (Usage) on an opponent that
/// does not exist, and where the worker program is missing.
[[nodiscard]] Result<eval::EvaluationSettings> settings_from(
    const Options& options, const std::filesystem::path& run_directory);

}  // namespace keisei::app
