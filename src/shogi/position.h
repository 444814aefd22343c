#pragma once

#include <array>
#include <cstdint>

#include "shogi/bitboard.h"
#include "shogi/placement.h"
#include "shogi/types.h"

namespace keisei::shogi {

/// Names a position for repetition: equal keys mean same board, hands and side to move (the board
/// as a 64-bit Zobrist hash, the hands exactly).
struct PositionKey {
  std::uint64_t board = 0;  // with the side to move
  std::uint64_t hands = 0;  // Black's bits in the low half

  friend bool operator==(const PositionKey&, const PositionKey&) = default;
};

/// What undo_move needs besides the move.
struct Undo {
  Piece moved = Piece::None;  // as it stood before the move
  Piece captured = Piece::None;
};

/// One valid position. A plain value: copying it is a memcpy of about 450 bytes.
class Position {
 public:
  /// REQUIRES: validate(placement) holds.
  explicit Position(const Placement& placement);

  /// The start of an even game, Black to move.
  [[nodiscard]] static const Position& start();

  [[nodiscard]] Color side() const { return side_; }
  [[nodiscard]] int move_number() const { return move_number_; }
  [[nodiscard]] Piece at(Square square) const { return board_[static_cast<std::size_t>(square)]; }
  [[nodiscard]] const std::array<Piece, kSquareCount>& board() const { return board_; }
  [[nodiscard]] Hand hand(Color color) const { return hands_[static_cast<std::size_t>(color)]; }
  [[nodiscard]] Square king(Color color) const { return kings_[static_cast<std::size_t>(color)]; }

  [[nodiscard]] Bitboard pieces(Color color) const {
    return by_color_[static_cast<std::size_t>(color)];
  }
  [[nodiscard]] Bitboard pieces(Kind kind) const {
    return by_kind_[static_cast<std::size_t>(kind)];
  }
  [[nodiscard]] Bitboard pieces(Color color, Kind kind) const {
    return pieces(color) & pieces(kind);
  }
  [[nodiscard]] Bitboard occupied() const { return by_color_[0] | by_color_[1]; }
  /// Golds and what moves like one, of both colours.
  [[nodiscard]] Bitboard golds() const {
    return pieces(Kind::Gold) | pieces(Kind::ProPawn) | pieces(Kind::ProLance) |
           pieces(Kind::ProKnight) | pieces(Kind::ProSilver);
  }

  /// The pieces of `by` that attack `square` when `occupied` blocks the sliders.
  [[nodiscard]] Bitboard attackers(Color by, Square square, Bitboard occupied) const;
  /// The pieces that give check to the side to move.
  [[nodiscard]] Bitboard checkers() const {
    return attackers(opponent(side_), king(side_), occupied());
  }
  [[nodiscard]] bool in_check() const { return !checkers().empty(); }

  [[nodiscard]] PositionKey key() const {
    return {board_key_, hands_[0].bits | (std::uint64_t{hands_[1].bits} << 32)};
  }
  [[nodiscard]] Placement placement() const;

  /// REQUIRES: move is legal. undo_move must get the same move and what do_move returned.
  Undo do_move(Move move);
  void undo_move(Move move, Undo undo);

  /// Compares everything, the derived boards and the key included.
  friend bool operator==(const Position&, const Position&) = default;

 private:
  void toggle(Square square, Piece piece);
  void place(Square square, Piece piece);

  std::array<Bitboard, 2> by_color_{};
  std::array<Bitboard, kKindCount> by_kind_{};
  std::uint64_t board_key_ = 0;
  std::array<Hand, 2> hands_{};
  std::array<Piece, kSquareCount> board_{};
  std::array<std::uint8_t, 2> kings_{};
  Color side_ = Color::Black;
  int move_number_ = 1;
};

}  // namespace keisei::shogi
