#pragma once

#include "shogi/position.h"
#include "shogi/types.h"

namespace keisei::shogi {

/// The rules once more, square by square over the plain board: shares nothing with the generator's
/// tables and bitboards, so each can be tested against the other. Slow; for judging single moves.

/// Whether a piece of `by` could move to `square`, whatever its own king suffers from that.
[[nodiscard]] bool is_attacked(const std::array<Piece, kSquareCount>& board, Square square,
                               Color by);

/// Whether the side to move may play `move`. Any bits may be asked.
[[nodiscard]] bool is_legal(const Position& position, Move move);

}  // namespace keisei::shogi
