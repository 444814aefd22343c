#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "store/run_store.h"
#include "telemetry/records.h"

namespace keisei::report {

/// What a run has to tell, in the order of time.
struct RunHistory {
  std::string name;  // of the run directory, as it was given
  std::vector<telemetry::UpdateRecord> updates{};
  std::vector<telemetry::EvaluationRecord> evaluations{};
  std::vector<telemetry::CheckpointRecord> checkpoints{};
  std::vector<telemetry::EventRecord> events{};
};

/// Reads all of it from `store`. Blocks on the disk.
[[nodiscard]] Result<RunHistory> history_of(const store::RunStore& store, std::string name);

enum class Format { Text, Markdown, Json };

/// A summary of the training and one row per evaluation. What was not measured is «-» (null in
/// JSON), never a zero. Text is for a terminal: aligned, without control characters. JSON is one
/// document: {"run", "training", "checkpoints", "evaluations", "events"}, the records as they are
/// stored.
[[nodiscard]] std::string render(const RunHistory& history, Format format);

}  // namespace keisei::report
