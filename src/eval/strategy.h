#pragma once

#include <cstddef>

namespace keisei::eval {

/// How the games of an evaluation are dealt out to its opponents.
enum class Strategy {
  Single,  ///< all games against each single opponent
  Shared,  ///< the opponents share them
};

/// Of `games` (1..100000) with `opponents` (at least one) against each. Shared: equal parts of
/// whole pairs, one pair at least, so that many opponents may together play more than `games`.
[[nodiscard]] int games_against_each(Strategy strategy, int games, std::size_t opponents);

}  // namespace keisei::eval
