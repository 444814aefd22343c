#pragma once

#include <bitset>
#include <span>
#include <string>

#include "shogi/legality.h"
#include "shogi/movegen.h"
#include "shogi/position.h"
#include "shogi/sfen.h"
#include "shogi/usi_move.h"

namespace keisei::shogi {

/// What holds of every position, each said in a second way that shares nothing with the first. For
/// tests and benches: each function returns what is wrong, with the position, or an empty text.

/// The same position seen from the other side: the board turned by 180 degrees, colours swapped.
inline Position turned(const Position& position) {
  const Placement from = position.placement();
  Placement to;
  for (Square square = 0; square < kSquareCount; ++square) {
    const Piece piece = from.board[static_cast<std::size_t>(square)];
    if (piece != Piece::None) {
      to.board[static_cast<std::size_t>(80 - square)] =
          make_piece(opponent(color_of(piece)), kind_of(piece));
    }
  }
  to.hands = {from.hands[1], from.hands[0]};
  to.side = opponent(from.side);
  to.move_number = from.move_number;
  return Position(to);
}

inline Move turned(Move move) {
  if (move.is_drop()) {
    return Move::drop(move.dropped(), 80 - move.to());
  }
  return move.is_promotion() ? Move::promotion(80 - move.from(), 80 - move.to())
                             : Move::board(80 - move.from(), 80 - move.to());
}

/// Calls visit(Move) for every from, to and promotion, and for every drop: 13,689 in all.
template <typename Visit>
void for_each_conceivable_move(Visit visit) {
  for (Square to = 0; to < kSquareCount; ++to) {
    for (Square from = 0; from < kSquareCount; ++from) {
      visit(Move::board(from, to));
      visit(Move::promotion(from, to));
    }
    for (int kind = 1; kind <= kHandKindCount; ++kind) {
      visit(Move::drop(static_cast<Kind>(kind), to));
    }
  }
}

/// `moves` are, once each, exactly the conceivable moves that `is_legal` accepts.
inline std::string moves_not_as_judged(const Position& position, std::span<const Move> moves) {
  std::bitset<1U << 16> generated;
  for (const Move move : moves) {
    generated.set(move.bits);
  }
  std::string wrong;
  std::size_t legal = 0;
  for_each_conceivable_move([&](Move move) {
    const bool accepted = is_legal(position, move);
    legal += accepted ? 1 : 0;
    if (accepted != generated.test(move.bits)) {
      wrong += (accepted ? " lacks " : " has ") + to_usi(move);
    }
  });
  if (wrong.empty() && moves.size() != legal) {
    wrong = fmt::format(" has {} moves, of which {} are different and legal", moves.size(), legal);
  }
  return wrong.empty() ? wrong : to_sfen(position) + wrong;
}

/// After each move the position is what its own board and hands give anew, the derived boards and
/// the key included, and after undoing the move it is what it was.
inline std::string moves_not_undone(const Position& position, std::span<const Move> moves) {
  Position played = position;
  for (const Move move : moves) {
    const Undo undo = played.do_move(move);
    if (played != Position(played.placement())) {
      return to_sfen(position) + " is not recomputed after " + to_usi(move);
    }
    played.undo_move(move, undo);
    if (played != position) {
      return to_sfen(position) + " is not restored after " + to_usi(move);
    }
  }
  return {};
}

/// The turned position has the turned moves, and turned twice it is the same.
inline std::string moves_not_turned(const Position& position, std::span<const Move> moves) {
  const Position other = turned(position);
  if (turned(other) != position) {
    return to_sfen(position) + " is another one when turned twice";
  }
  std::bitset<1U << 16> expected;
  for (const Move move : moves) {
    expected.set(turned(move).bits);
  }
  MoveList found;
  generate_legal(other, found);
  std::string wrong;
  for (const Move move : found) {
    if (!expected.test(move.bits)) {
      wrong += " has " + to_usi(move);
    }
  }
  if (wrong.empty() && found.size() != moves.size()) {
    wrong = fmt::format(" has {} moves, and {} when turned", moves.size(), found.size());
  }
  return wrong.empty() ? wrong : to_sfen(position) + wrong;
}

/// The first of the above that does not hold.
inline std::string first_fault(const Position& position, std::span<const Move> moves) {
  for (const auto find : {moves_not_as_judged, moves_not_undone, moves_not_turned}) {
    if (std::string wrong = find(position, moves); !wrong.empty()) {
      return wrong;
    }
  }
  return {};
}

}  // namespace keisei::shogi
