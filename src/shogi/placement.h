#pragma once

#include <array>

#include "base/result.h"
#include "shogi/types.h"

namespace keisei::shogi {

/// What stands where, as any notation says it: plain data, not yet known to be valid.
struct Placement {
  std::array<Piece, kSquareCount> board{};
  std::array<Hand, 2> hands{};  // by Color
  Color side = Color::Black;    // to move
  int move_number = 1;          // of the move to come, >= 1

  friend bool operator==(const Placement&, const Placement&) = default;
};

/// Fails, and says what is wrong, where a game of shogi cannot stand like this: not one king each,
/// more pieces than a set has, two unpromoted pawns of one side on a file, a pawn, lance or knight
/// that could never move, or the side not to move in check. Fewer pieces than a set are allowed.
[[nodiscard]] Result<void> validate(const Placement& placement);

/// Puts `count` more of `kind` into the hand of `color`. Fails, and changes nothing, where no hand
/// can hold that.
[[nodiscard]] Result<void> add_to_hand(Placement& placement, Color color, Kind kind, int count);

}  // namespace keisei::shogi
