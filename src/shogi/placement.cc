#include "shogi/placement.h"

#include <string_view>

#include "shogi/legality.h"
#include "shogi/usi_move.h"

namespace keisei::shogi {
namespace {

constexpr std::array<std::string_view, 8> kKindNames = {"",       "pawn",   "lance", "knight",
                                                        "silver", "bishop", "rook",  "gold"};

std::string_view name(Color color) { return color == Color::Black ? "black" : "white"; }

std::size_t as_index(int value) { return static_cast<std::size_t>(value); }

Result<void> check_kings(const Placement& placement) {
  for (const Color color : {Color::Black, Color::White}) {
    int kings = 0;
    for (const Piece piece : placement.board) {
      kings += piece == make_piece(color, Kind::King) ? 1 : 0;
    }
    if (kings != 1) {
      return fail("{} has {} kings on the board; it needs one", name(color), kings);
    }
  }
  return {};
}

Result<void> check_totals(const Placement& placement) {
  std::array<int, kKindCount> counts{};
  for (const Piece piece : placement.board) {
    ++counts[as_index(index(unpromoted(kind_of(piece))))];
  }
  for (int kind = 1; kind <= kHandKindCount; ++kind) {
    const int total = counts[as_index(kind)] + placement.hands[0].count(static_cast<Kind>(kind)) +
                      placement.hands[1].count(static_cast<Kind>(kind));
    if (total > kKindTotal[as_index(kind)]) {
      return fail("{} {}s on the board and in hand; a set has {}", total,
                  kKindNames[as_index(kind)], kKindTotal[as_index(kind)]);
    }
  }
  return {};
}

Result<void> check_dead_piece(Square square, Piece piece) {
  const int left = color_of(piece) == Color::Black ? rank_of(square) : 8 - rank_of(square);
  const Kind kind = kind_of(piece);
  if (((kind == Kind::Pawn || kind == Kind::Lance) && left < 1) ||
      (kind == Kind::Knight && left < 2)) {
    return fail("a {} {} on {} could never move", name(color_of(piece)),
                kKindNames[as_index(index(kind))], to_usi(square));
  }
  return {};
}

Result<void> check_pawns_and_dead_pieces(const Placement& placement) {
  for (int file = 0; file < 9; ++file) {
    std::array<int, 2> pawns{};
    for (int rank = 0; rank < 9; ++rank) {
      const Square square = square_at(file, rank);
      const Piece piece = placement.board[as_index(square)];
      if (piece == Piece::None) {
        continue;
      }
      KEISEI_TRY_VOID(check_dead_piece(square, piece));
      if (kind_of(piece) == Kind::Pawn && ++pawns[as_index(index(color_of(piece)))] > 1) {
        return fail("{} has two pawns on file {}", name(color_of(piece)), file + 1);
      }
    }
  }
  return {};
}

Result<void> check_side_not_to_move(const Placement& placement) {
  const Color waiting = opponent(placement.side);
  for (Square square = 0; square < kSquareCount; ++square) {
    if (placement.board[as_index(square)] == make_piece(waiting, Kind::King) &&
        is_attacked(placement.board, square, placement.side)) {
      return fail("{} is in check, but {} is to move", name(waiting), name(placement.side));
    }
  }
  return {};
}

}  // namespace

Result<void> validate(const Placement& placement) {
  KEISEI_TRY_VOID(check_kings(placement));
  KEISEI_TRY_VOID(check_totals(placement));
  KEISEI_TRY_VOID(check_pawns_and_dead_pieces(placement));
  return check_side_not_to_move(placement);
}

Result<void> add_to_hand(Placement& placement, Color color, Kind kind, int count) {
  if (kind < Kind::Pawn || kind > Kind::Gold) {
    return fail("a king and a promoted piece cannot be in hand");
  }
  Hand& hand = placement.hands[as_index(index(color))];
  const int total = kKindTotal[as_index(index(kind))];
  if (count > total - hand.count(kind)) {
    return fail("{} {}s in hand; a set has {}", hand.count(kind) + count,
                kKindNames[as_index(index(kind))], total);
  }
  for (int i = 0; i < count; ++i) {
    hand.add(kind);
  }
  return {};
}

}  // namespace keisei::shogi
