#pragma once

#include <string>
#include <vector>

#include "eval/request.h"
#include "eval/wire.h"
#include "telemetry/records.h"

namespace keisei::eval {

/// Fills what the games say into `record`: results per opponent, score and Elo over all of them
/// with their 95 % intervals, whether games are missing. No game: no score, never a zero.
void summarise(const WorkerReport& report, const EvaluationRequest& request,
               telemetry::EvaluationRecord& record);

/// The games as USI position lines («position startpos moves ...»), each behind a comment line that
/// says who played and how it ended: for people, GUIs and replay.
[[nodiscard]] std::string games_text(const WorkerReport& report, const EvaluationRequest& request);

}  // namespace keisei::eval
