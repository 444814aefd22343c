#pragma once

#include <array>
#include <cstdint>

#include "shogi/types.h"

namespace keisei::shogi {

/// A fixed pseudo-random number per piece and square; the same in every build.
struct ZobristTable {
  std::array<std::array<std::uint64_t, kSquareCount>, kPieceLimit> pieces;  // [piece][square]
  std::uint64_t white_to_move;
};
extern const ZobristTable kZobrist;  // NOLINT(readability-identifier-naming): is constexpr

}  // namespace keisei::shogi
