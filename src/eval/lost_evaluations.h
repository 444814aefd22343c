#pragma once

#include <filesystem>
#include <vector>

#include "telemetry/records.h"

namespace keisei::eval {

/// Evaluations of a run that have a request, no report and no record, and at which nobody is at
/// work: whoever supervised them was killed. A record for each, as SupervisorLost, by id. `known`:
/// those of the run's store. Reads the disk; what it cannot read is left out.
[[nodiscard]] std::vector<telemetry::EvaluationRecord> find_lost_evaluations(
    const std::filesystem::path& run_directory,
    const std::vector<telemetry::EvaluationRecord>& known);

}  // namespace keisei::eval
