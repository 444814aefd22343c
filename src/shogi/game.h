#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "shogi/history.h"
#include "shogi/movegen.h"
#include "shogi/position.h"
#include "shogi/rules.h"

namespace keisei::shogi {

/// One game under the full rules.
///   start -> legal_moves -> (choice) -> play -> verdict
/// After each move it is judged in this order: repetition and perpetual check, no legal move,
/// declaration, ply cap. So a mate on the last ply counts. One thread at a time; playing allocates
/// nothing.
class Game {
 public:
  /// Stands at the start position. REQUIRES: 1 <= rules.max_plies <= 32767.
  explicit Game(GameRules rules);

  /// Begins again from the start position.
  void reset();
  /// Begins again from `start` with ply 0. Fails, and changes nothing, where the game would be over
  /// before its first move.
  Result<void> reset(const Position& start);

  /// REQUIRES: the game is not over and move is one of legal_moves().
  void play(Move move);

  [[nodiscard]] const GameRules& rules() const { return rules_; }
  [[nodiscard]] const Position& start() const { return start_; }
  [[nodiscard]] const Position& position() const { return position_; }
  /// Whether the side to move is in check.
  [[nodiscard]] bool in_check() const { return in_check_; }
  /// Of the current position; empty when the game is over. Valid until the next play or reset.
  [[nodiscard]] std::span<const Move> legal_moves() const {
    return {legal_.begin(), verdict_.ending == Ending::None ? legal_.size() : 0};
  }
  [[nodiscard]] std::span<const Move> moves() const { return moves_; }
  [[nodiscard]] int ply() const { return static_cast<int>(moves_.size()); }
  /// How often the current position occurred before.
  [[nodiscard]] int earlier_occurrences() const { return history_.earlier_occurrences(); }
  [[nodiscard]] const Verdict& verdict() const { return verdict_; }
  [[nodiscard]] bool is_over() const { return verdict_.ending != Ending::None; }

 private:
  void begin(const Position& start);
  [[nodiscard]] Verdict judge();

  GameRules rules_;
  Position start_;
  Position position_;
  GameHistory history_;
  std::vector<Move> moves_;
  MoveList legal_;
  Verdict verdict_;
  bool in_check_ = false;
};

}  // namespace keisei::shogi
