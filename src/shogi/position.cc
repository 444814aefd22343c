#include "shogi/position.h"

#include "shogi/attacks.h"
#include "shogi/zobrist.h"

namespace keisei::shogi {
namespace {

constexpr std::size_t at_index(Square square) { return static_cast<std::size_t>(square); }

Placement start_placement() {
  constexpr std::array<Kind, 9> kBackRank = {Kind::Lance,  Kind::Knight, Kind::Silver,
                                             Kind::Gold,   Kind::King,   Kind::Gold,
                                             Kind::Silver, Kind::Knight, Kind::Lance};
  Placement placement;
  for (int file = 0; file < 9; ++file) {
    const Kind back = kBackRank[at_index(file)];
    placement.board[at_index(square_at(file, 0))] = make_piece(Color::White, back);
    placement.board[at_index(square_at(file, 2))] = make_piece(Color::White, Kind::Pawn);
    placement.board[at_index(square_at(file, 6))] = make_piece(Color::Black, Kind::Pawn);
    placement.board[at_index(square_at(file, 8))] = make_piece(Color::Black, back);
  }
  placement.board[at_index(square_at(1, 1))] = make_piece(Color::White, Kind::Bishop);
  placement.board[at_index(square_at(7, 1))] = make_piece(Color::White, Kind::Rook);
  placement.board[at_index(square_at(1, 7))] = make_piece(Color::Black, Kind::Rook);
  placement.board[at_index(square_at(7, 7))] = make_piece(Color::Black, Kind::Bishop);
  return placement;
}

template <Color by>
Bitboard attackers_of(const Position& position, Square square, Bitboard occupied) {
  // A piece attacks the square if the same piece of the other colour on the square attacks it.
  constexpr Color kOther = opponent(by);
  const Bitboard horses = position.pieces(Kind::Horse);
  const Bitboard dragons = position.pieces(Kind::Dragon);
  const Bitboard pieces = position.pieces(by);
  Bitboard found = (step_attacks<kOther, Step::Pawn>(square) & position.pieces(Kind::Pawn)) |
                   (step_attacks<kOther, Step::Knight>(square) & position.pieces(Kind::Knight)) |
                   (step_attacks<kOther, Step::Silver>(square) & position.pieces(Kind::Silver)) |
                   (step_attacks<kOther, Step::Gold>(square) & position.golds()) |
                   (king_attacks(square) & (position.pieces(Kind::King) | horses | dragons));
  const Bitboard diagonal = (position.pieces(Kind::Bishop) | horses) & pieces;
  if (!(diagonal & diagonal_lines(square)).empty()) {
    found |= bishop_attacks(square, occupied) & diagonal;
  }
  const Bitboard straight = (position.pieces(Kind::Rook) | dragons) & pieces;
  if (!(straight & straight_lines(square)).empty()) {
    found |= rook_attacks(square, occupied) & straight;
  }
  const Bitboard lances = position.pieces(Kind::Lance) & pieces;
  if (!(lances & lance_line<kOther>(square)).empty()) {
    found |= lance_attacks<kOther>(square, occupied) & lances;
  }
  return found & pieces;
}

}  // namespace

Position::Position(const Placement& placement)
    : hands_(placement.hands), side_(placement.side), move_number_(placement.move_number) {
  for (Square square = 0; square < kSquareCount; ++square) {
    const Piece piece = placement.board[at_index(square)];
    if (piece != Piece::None) {
      place(square, piece);
    }
  }
  if (side_ == Color::White) {
    board_key_ ^= kZobrist.white_to_move;
  }
}

const Position& Position::start() {
  static const Position start_position(start_placement());
  return start_position;
}

Bitboard Position::attackers(Color by, Square square, Bitboard occupied) const {
  return by == Color::Black ? attackers_of<Color::Black>(*this, square, occupied)
                            : attackers_of<Color::White>(*this, square, occupied);
}

Placement Position::placement() const {
  return {.board = board_, .hands = hands_, .side = side_, .move_number = move_number_};
}

inline void Position::toggle(Square square, Piece piece) {
  const Bitboard bit = Bitboard::of(square);
  by_color_[at_index(index(color_of(piece)))] ^= bit;
  by_kind_[at_index(index(kind_of(piece)))] ^= bit;
  board_key_ ^= kZobrist.pieces[at_index(index(piece))][at_index(square)];
}

inline void Position::place(Square square, Piece piece) {
  toggle(square, piece);
  board_[at_index(square)] = piece;
  if (kind_of(piece) == Kind::King) {
    kings_[at_index(index(color_of(piece)))] = static_cast<std::uint8_t>(square);
  }
}

Undo Position::do_move(Move move) {
  const Square to = move.to();
  Hand& hand = hands_[at_index(index(side_))];
  Undo undo;
  if (move.is_drop()) {
    hand.remove(move.dropped());
    place(to, make_piece(side_, move.dropped()));
  } else {
    const Square from = move.from();
    undo = {.moved = at(from), .captured = at(to)};
    if (undo.captured != Piece::None) {
      toggle(to, undo.captured);
      hand.add(unpromoted(kind_of(undo.captured)));
    }
    toggle(from, undo.moved);
    board_[at_index(from)] = Piece::None;
    place(to, move.is_promotion() ? make_piece(side_, promoted(kind_of(undo.moved))) : undo.moved);
  }
  board_key_ ^= kZobrist.white_to_move;
  side_ = opponent(side_);
  ++move_number_;
  return undo;
}

void Position::undo_move(Move move, Undo undo) {
  --move_number_;
  side_ = opponent(side_);
  board_key_ ^= kZobrist.white_to_move;
  const Square to = move.to();
  Hand& hand = hands_[at_index(index(side_))];
  toggle(to, at(to));
  board_[at_index(to)] = undo.captured;
  if (move.is_drop()) {
    hand.add(move.dropped());
    return;
  }
  if (undo.captured != Piece::None) {
    hand.remove(unpromoted(kind_of(undo.captured)));
    toggle(to, undo.captured);
  }
  place(move.from(), undo.moved);
}

}  // namespace keisei::shogi
