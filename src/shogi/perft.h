#pragma once

#include <cstdint>
#include <vector>

#include "shogi/position.h"

namespace keisei::shogi {

/// How the last ply is counted: by the length of the move list, or by playing every move. The
/// counts are the same; the first measures the generator, the second do_move and undo_move as well.
enum class PerftLeaves : std::uint8_t { Bulk, Played };

/// The number of move sequences of `depth` plies; 1 at depth 0. REQUIRES: depth >= 0.
[[nodiscard]] std::uint64_t perft(const Position& position, int depth, PerftLeaves leaves);

struct PerftBranch {
  Move move;
  std::uint64_t nodes;
};

/// The same, by first move, in the generator's order. REQUIRES: depth >= 1.
[[nodiscard]] std::vector<PerftBranch> perft_divide(const Position& position, int depth,
                                                    PerftLeaves leaves);

}  // namespace keisei::shogi
