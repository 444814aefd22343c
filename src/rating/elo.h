#pragma once

#include <optional>

#include "rating/score.h"

namespace keisei::rating {

/// An Elo difference with its interval. A score of 1 or 0 has no finite difference: absent.
struct EloDifference {
  std::optional<double> value;
  std::optional<double> low;   // absent: no lower bound
  std::optional<double> high;  // absent: no upper bound
};

/// d = 400 log10(s / (1 - s)) (Elo 1978, section 8.4), ends of the interval alike: the function
/// grows with the score, so the confidence stays. Positive: stronger than the opponents.
[[nodiscard]] EloDifference elo_of(const Score& score);

/// nullopt for 0 and 1. `score` in [0, 1].
[[nodiscard]] std::optional<double> elo_of_score(double score);

}  // namespace keisei::rating
