#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "telemetry/records.h"

namespace keisei::app {

/// What the progress line shows.
struct ProgressState {
  std::int64_t total_steps = 0;
  std::optional<telemetry::UpdateRecord> update{};          // the last
  std::optional<telemetry::EvaluationRecord> evaluation{};  // the last that ended
  int evaluations_active = 0;
  bool enforcement = true;  // false is said on every line
  bool learner_attached = true;
  bool learner_silent = false;
};

/// One line without a line break, as in
/// «step 81,920/250,000 (33 %)  2,310 steps/s  ETA 1 min 13 s  policy -0.012  value 0.84 ...».
[[nodiscard]] std::string progress_line(const ProgressState& state);

/// One evaluation for people, on one line: step, opponents, score with its interval, latency,
/// memory, verdicts, and how it ended if it did not finish.
[[nodiscard]] std::string evaluation_line(const telemetry::EvaluationRecord& record);

/// «2 h 05 min», «1 min 13 s», «8 s».
[[nodiscard]] std::string spoken_duration(double seconds);

}  // namespace keisei::app
