#include "eval/degradation.h"

#include <algorithm>
#include <utility>

namespace keisei::eval {
namespace {

// A quarter doubles the interval of the score: still worth having, at a quarter of the load.
constexpr int kShare = 4;

int fewer(int games) { return std::min(games, 2 * std::max(1, games / kShare / 2)); }

}  // namespace

EvaluationRequest degraded(EvaluationRequest request, guard::ServiceLevel level) {
  switch (level) {
    case guard::ServiceLevel::Full:
      break;
    case guard::ServiceLevel::OneThread:
    case guard::ServiceLevel::Deferred:  // of what runs although it was to wait
    case guard::ServiceLevel::Rejected:
      request.threads = 1;
      [[fallthrough]];
    case guard::ServiceLevel::FewerGames:
      request.games = fewer(request.games);
      break;
  }
  return request;
}

}  // namespace keisei::eval
