#pragma once

#include "eval/request.h"
#include "guard/pressure.h"

namespace keisei::eval {

/// What is left of `request` on `level`. FewerGames: a quarter of the games against each opponent,
/// in whole pairs of both colours, one pair at least; the first games, so that they are played from
/// the same openings. OneThread: that, and one thread. Pure.
[[nodiscard]] EvaluationRequest degraded(EvaluationRequest request, guard::ServiceLevel level);

}  // namespace keisei::eval
