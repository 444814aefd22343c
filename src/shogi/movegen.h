#pragma once

#include <array>
#include <cstddef>

#include "shogi/position.h"
#include "shogi/types.h"

namespace keisei::shogi {

/// The legal moves of one position, on the stack: no position has more than 593.
class MoveList {
 public:
  static constexpr std::size_t kCapacity = 600;

  [[nodiscard]] const Move* begin() const { return moves_.data(); }
  [[nodiscard]] const Move* end() const { return moves_.data() + size_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] Move operator[](std::size_t i) const { return moves_[i]; }

 private:
  friend void generate_legal(const Position& position, MoveList& moves);

  std::array<Move, kCapacity> moves_;  // the first size_ are set
  std::size_t size_ = 0;
};

/// Replaces `moves` by all legal moves, each once, in an order that depends on the position only:
/// every promotion and every non-promotion, no second pawn on a file, no dead piece, no drop of a
/// pawn that mates, no move that leaves the king attacked.
void generate_legal(const Position& position, MoveList& moves);

}  // namespace keisei::shogi
