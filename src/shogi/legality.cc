#include "shogi/legality.h"

#include <cstdlib>

namespace keisei::shogi {
namespace {

using Board = std::array<Piece, kSquareCount>;

Piece& at(Board& board, Square square) { return board[static_cast<std::size_t>(square)]; }
Piece at(const Board& board, Square square) { return board[static_cast<std::size_t>(square)]; }

bool belongs_to(Piece piece, Color color) {
  return piece != Piece::None && color_of(piece) == color;
}

/// How far the rank lies from the far side of `color`: 0 is the last rank.
int ranks_to_go(Square square, Color color) {
  return color == Color::Black ? rank_of(square) : 8 - rank_of(square);
}

bool is_dead(Kind kind, Square square, Color color) {
  const int left = ranks_to_go(square, color);
  return kind == Kind::Knight ? left < 2 : (kind == Kind::Pawn || kind == Kind::Lance) && left < 1;
}

/// `side` squares sidewards (>= 0) and `forward` ahead, as the piece sees it.
bool steps(Kind kind, int side, int forward) {
  const bool near = side <= 1 && std::abs(forward) <= 1;
  switch (kind) {
    case Kind::Pawn:
      return side == 0 && forward == 1;
    case Kind::Knight:
      return side == 1 && forward == 2;
    case Kind::Silver:
      return near && (forward == 1 || (side == 1 && forward == -1));
    case Kind::Gold:
    case Kind::ProPawn:
    case Kind::ProLance:
    case Kind::ProKnight:
    case Kind::ProSilver:
      return near && (forward >= 0 || side == 0);
    case Kind::King:
    case Kind::Horse:
    case Kind::Dragon:
      return near;
    case Kind::None:
    case Kind::Lance:
    case Kind::Bishop:
    case Kind::Rook:
      return false;
  }
  return false;
}

bool slides(Kind kind, int side, int forward) {
  if (kind == Kind::Bishop || kind == Kind::Horse) {
    return side == std::abs(forward);
  }
  if (kind == Kind::Rook || kind == Kind::Dragon) {
    return side == 0 || forward == 0;
  }
  return kind == Kind::Lance && side == 0 && forward > 0;
}

int sign(int value) { return (value > 0) - (value < 0); }

bool is_clear_between(const Board& board, Square from, Square to) {
  const int file_step = sign(file_of(to) - file_of(from));
  const int rank_step = sign(rank_of(to) - rank_of(from));
  int file = file_of(from) + file_step;
  int rank = rank_of(from) + rank_step;
  while (square_at(file, rank) != to) {
    if (at(board, square_at(file, rank)) != Piece::None) {
      return false;
    }
    file += file_step;
    rank += rank_step;
  }
  return true;
}

/// Whether the piece on `from` moves to `to`, whatever stands there. REQUIRES: there is a piece.
bool reaches(const Board& board, Square from, Square to) {
  if (from == to) {
    return false;
  }
  const Piece piece = at(board, from);
  const int side = std::abs(file_of(to) - file_of(from));
  const int forward = ranks_to_go(from, color_of(piece)) - ranks_to_go(to, color_of(piece));
  return steps(kind_of(piece), side, forward) ||
         (slides(kind_of(piece), side, forward) && is_clear_between(board, from, to));
}

Square king_of(const Board& board, Color color) {
  Square square = 0;
  while (at(board, square) != make_piece(color, Kind::King)) {
    ++square;
  }
  return square;
}

/// Whether `color` may move from `from` to `to`, its king's safety included; promotion apart.
bool may_move(const Board& board, Color color, Square from, Square to) {
  if (!belongs_to(at(board, from), color) || belongs_to(at(board, to), color) ||
      !reaches(board, from, to)) {
    return false;
  }
  Board after = board;
  at(after, to) = at(board, from);
  at(after, from) = Piece::None;
  return !is_attacked(after, king_of(after, color), opponent(color));
}

bool may_promote(Kind kind, Square from, Square to, Color color) {
  return can_promote(kind) && (ranks_to_go(from, color) < 3 || ranks_to_go(to, color) < 3);
}

bool is_legal_board_move(const Position& position, const Board& board, Move move) {
  const Color color = position.side();
  if (move.from() >= kSquareCount || !may_move(board, color, move.from(), move.to())) {
    return false;
  }
  const Kind kind = kind_of(at(board, move.from()));
  return move.is_promotion() ? may_promote(kind, move.from(), move.to(), color)
                             : !is_dead(kind, move.to(), color);
}

bool has_pawn_on_file(const Board& board, int file, Color color) {
  for (int rank = 0; rank < 9; ++rank) {
    if (at(board, square_at(file, rank)) == make_piece(color, Kind::Pawn)) {
      return true;
    }
  }
  return false;
}

/// `color` is in check from a pawn next to its king: no drop can help it, so board moves decide.
bool is_mated_by_pawn(const Board& board, Color color) {
  for (Square from = 0; from < kSquareCount; ++from) {
    for (Square to = 0; to < kSquareCount; ++to) {
      if (may_move(board, color, from, to)) {
        return false;
      }
    }
  }
  return true;
}

bool is_legal_drop(const Position& position, const Board& board, Move move) {
  const Color color = position.side();
  const Kind kind = move.dropped();
  if (kind < Kind::Pawn || kind > Kind::Gold || move.is_promotion() ||
      !position.hand(color).has(kind) || at(board, move.to()) != Piece::None ||
      is_dead(kind, move.to(), color)) {
    return false;
  }
  Board after = board;
  at(after, move.to()) = make_piece(color, kind);
  if (is_attacked(after, king_of(after, color), opponent(color))) {
    return false;
  }
  if (kind != Kind::Pawn) {
    return true;
  }
  const bool gives_check = reaches(after, move.to(), king_of(after, opponent(color)));
  return !has_pawn_on_file(board, file_of(move.to()), color) &&
         !(gives_check && is_mated_by_pawn(after, opponent(color)));
}

}  // namespace

bool is_attacked(const Board& board, Square square, Color by) {
  for (Square from = 0; from < kSquareCount; ++from) {
    if (belongs_to(at(board, from), by) && reaches(board, from, square)) {
      return true;
    }
  }
  return false;
}

bool is_legal(const Position& position, Move move) {
  if (move.to() >= kSquareCount) {
    return false;
  }
  const Board& board = position.board();
  return move.is_drop() ? is_legal_drop(position, board, move)
                        : is_legal_board_move(position, board, move);
}

}  // namespace keisei::shogi
