#include "rating/elo.h"

#include <cmath>

#include "base/check.h"

namespace keisei::rating {

std::optional<double> elo_of_score(double score) {
  KEISEI_CHECK(score >= 0 && score <= 1, "a score of {}", score);
  if (score == 0 || score == 1) {
    return std::nullopt;
  }
  return 400 * std::log10(score / (1 - score));
}

EloDifference elo_of(const Score& score) {
  return {.value = elo_of_score(score.value),
          .low = elo_of_score(score.low),
          .high = elo_of_score(score.high)};
}

}  // namespace keisei::rating
