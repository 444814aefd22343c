#include "env/legal_actions.h"

#include <algorithm>
#include <span>

#include "base/check.h"
#include "shogi/position.h"

namespace keisei::env {
namespace {

using shogi::Color;
using shogi::Hand;
using shogi::Kind;

constexpr int kPieceKinds = shogi::kKindCount - 1;

Hand hand_of(std::span<const std::uint8_t> counts) {
  Hand hand;
  for (int kind = 1; kind <= shogi::kHandKindCount; ++kind) {
    for (int i = 0; i < counts[static_cast<std::size_t>(kind - 1)]; ++i) {
      hand.add(static_cast<Kind>(kind));
    }
  }
  return hand;
}

/// What is shown, with Black as the mover.
shogi::Placement placement_of(const Observation& seen) {
  shogi::Placement placement;
  for (std::size_t square = 0; square < kSquares; ++square) {
    const int code = seen.board[square];
    if (code != 0) {
      placement.board[square] =
          code <= kPieceKinds
              ? shogi::make_piece(Color::Black, static_cast<Kind>(code))
              : shogi::make_piece(Color::White, static_cast<Kind>(code - kPieceKinds));
    }
  }
  const std::span<const std::uint8_t> hands(seen.hands);
  placement.hands = {hand_of(hands.first(shogi::kHandKindCount)),
                     hand_of(hands.last(shogi::kHandKindCount))};
  placement.side = Color::Black;
  return placement;
}

}  // namespace

LegalActions::LegalActions(const Observation& seen) {
  const shogi::Position position(placement_of(seen));
  shogi::MoveList moves;
  generate_legal(position, moves);
  size_ = moves.size();
  actions_of(position, moves, std::span(actions_).first(size_));
}

std::size_t LegalActions::index_of(Action action) const {
  const Action* const found = std::find(begin(), end(), action);
  KEISEI_CHECK(found != end(), "action {} is not legal in what was observed", action);
  return static_cast<std::size_t>(found - begin());
}

}  // namespace keisei::env
