#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "match/player.h"
#include "shogi/rules.h"

namespace keisei::match {

struct MatchOptions {
  int games = 20;           // >= 1; an even number gives whole pairs
  int opening_plies = 4;    // random plies that both games of a pair begin with
  int batch = 64;           // games in play at the same time, >= 1
  std::uint64_t seed = 0;   // with `match` and the players, decides every game
  std::uint32_t match = 0;  // other draws from the same seed for each match of an evaluation
  shogi::GameRules rules;
  /// Asked before each round of plies; true: stop, games at work are lost.
  std::function<bool()> interrupted = {};
};

/// One finished game. Game 2k and 2k+1 are pair k: the same opening, colours swapped.
struct GameResult {
  int game = 0;
  bool candidate_is_black = true;
  int score = 0;  // -1, 0, +1 for the candidate
  shogi::Ending ending = shogi::Ending::None;
  std::vector<shogi::Move> moves;  // from the start position, the opening included
};

/// Called once per game, in the order in which games end. `false`: stop the match.
using OnGameEnd = std::function<bool(const GameResult&)>;

/// Plays all games, up to `batch` of them side by side, one forward per player and ply:
///   turns of the candidate -> choose -> apply; turns of the opponent -> choose -> apply; repeat
/// A game depends on seed, match, number and players only, not on `batch`; with a NetPlayer up to
/// the rounding of its network, whose kernels differ between batch sizes. Fails as soon as a player
/// does; games at work are then lost. Blocks until done or stopped.
[[nodiscard]] Result<void> play_match(Player& candidate, Player& opponent,
                                      const MatchOptions& options, const OnGameEnd& on_game_end);

}  // namespace keisei::match
