#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace keisei::eval {

/// How the games of an evaluation are dealt out to its opponents.
enum class Strategy {
  Single,  ///< all games against each single opponent
  Shared,  ///< the opponents share them
};
/// «single», «shared»; nothing of any other word.
[[nodiscard]] std::optional<Strategy> parse_strategy(std::string_view text);

/// Of `games` (1..100000) with `opponents` (at least one) against each. Shared: equal parts of
/// whole pairs, one pair at least, so that many opponents may together play more than `games`.
[[nodiscard]] int games_against_each(Strategy strategy, int games, std::size_t opponents);

}  // namespace keisei::eval
