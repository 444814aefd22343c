#pragma once

#include <span>
#include <string>

#include "telemetry/records.h"

namespace keisei::report {

// A line of titles, then one row per evaluation. What was not measured is «-».

/// For a terminal: columns stand below each other, and there are no control characters.
[[nodiscard]] std::string aligned_table(std::span<const telemetry::EvaluationRecord> evaluations);
[[nodiscard]] std::string markdown_table(std::span<const telemetry::EvaluationRecord> evaluations);

}  // namespace keisei::report
