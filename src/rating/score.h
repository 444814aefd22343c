#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace keisei::rating {

/// Of the intervals in this module.
inline constexpr double kConfidence = 0.95;

/// Games that stand alone, seen from one player. Not negative.
struct GameCounts {
  std::int64_t wins = 0;
  std::int64_t draws = 0;
  std::int64_t losses = 0;
};

/// Games of a match. A pair is two games from one opening with colours swapped: its games depend on
/// each other through the opening.
struct MatchCounts {
  /// How many pairs ended with 0, 1/2, 1, 3/2 and 2 points (the pentanomial counts).
  std::array<std::int64_t, 5> pairs{};
  /// Games whose partner is missing.
  GameCounts single{};
};

/// Points per game (win 1, draw 1/2), 0 <= low <= value <= high <= 1.
struct Score {
  double value = 0;
  double low = 0;
  double high = 0;
  std::int64_t games = 0;
  double effective_games = 0;  // independent games that would tell as much; at most `games`
};

/// The mean score with its interval; nullopt when there is no game. The interval is Clopper and
/// Pearson's (1934) with the effective number of games of Korn and Graubard (1998, Survey
/// Methodology 24, p. 193), each pair a cluster: exact for decisive independent games, wide enough
/// with draws (a score in [0, 1] varies at most as much as wins and losses of the same mean), and
/// never narrower for pairs than for as many independent games, so that a few pairs that happen to
/// agree prove nothing. Low is below 1 after any number of wins.
[[nodiscard]] std::optional<Score> score_of(const MatchCounts& match);
[[nodiscard]] std::optional<Score> score_of(const GameCounts& games);

}  // namespace keisei::rating
