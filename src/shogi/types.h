#pragma once

#include <array>
#include <cstdint>

namespace keisei::shogi {

/// Black (sente) moves towards rank a, which is rank 0 here.
enum class Color : std::uint8_t { Black, White };

[[nodiscard]] constexpr Color opponent(Color color) {
  return color == Color::Black ? Color::White : Color::Black;
}
[[nodiscard]] constexpr int index(Color color) { return static_cast<int>(color); }

/// file * 9 + rank, in 0..80: square 0 is 1a, square 8 is 1i, square 80 is 9i. Turning the board by
/// 180 degrees maps a square to 80 - square.
using Square = int;
inline constexpr int kSquareCount = 81;

[[nodiscard]] constexpr Square square_at(int file, int rank) { return file * 9 + rank; }
[[nodiscard]] constexpr int file_of(Square square) { return square / 9; }
[[nodiscard]] constexpr int rank_of(Square square) { return square % 9; }

/// 1..7 can be held in hand; adding 8 to 1..6 promotes.
enum class Kind : std::uint8_t {
  None,
  Pawn,
  Lance,
  Knight,
  Silver,
  Bishop,
  Rook,
  Gold,
  King,
  ProPawn,
  ProLance,
  ProKnight,
  ProSilver,
  Horse,
  Dragon
};
inline constexpr int kKindCount = 15;                                        // with None
inline constexpr int kHandKindCount = 7;                                     // Pawn .. Gold
inline constexpr int kPromotionStep = 8;                                     // Pawn -> ProPawn
inline constexpr std::array<int, 8> kKindTotal = {0, 18, 4, 4, 4, 2, 2, 4};  // in one set, by kind

[[nodiscard]] constexpr int index(Kind kind) { return static_cast<int>(kind); }
[[nodiscard]] constexpr bool can_promote(Kind kind) {
  return kind >= Kind::Pawn && kind <= Kind::Rook;
}
[[nodiscard]] constexpr bool is_promoted(Kind kind) { return kind >= Kind::ProPawn; }
/// REQUIRES: can_promote(kind).
[[nodiscard]] constexpr Kind promoted(Kind kind) {
  return static_cast<Kind>(index(kind) + kPromotionStep);
}
[[nodiscard]] constexpr Kind unpromoted(Kind kind) {
  return is_promoted(kind) ? static_cast<Kind>(index(kind) - kPromotionStep) : kind;
}

/// A kind with its colour, or nothing: 0 empty, 1..14 black, 17..30 white.
enum class Piece : std::uint8_t { None = 0 };
inline constexpr int kPieceLimit = 31;  // every piece's index is below

[[nodiscard]] constexpr int index(Piece piece) { return static_cast<int>(piece); }
[[nodiscard]] constexpr Piece make_piece(Color color, Kind kind) {
  return static_cast<Piece>(index(color) * 16 + index(kind));
}
[[nodiscard]] constexpr Kind kind_of(Piece piece) { return static_cast<Kind>(index(piece) & 15); }
/// REQUIRES: piece is not None.
[[nodiscard]] constexpr Color color_of(Piece piece) {
  return static_cast<Color>(index(piece) >> 4);
}

/// to (7 bits) | from, or the dropped kind (7 bits) | drop (1 bit) | promote (1 bit). Zero (1a to
/// 1a) is no move. Trivial, so that a MoveList costs nothing before it is filled.
struct Move {
  std::uint16_t bits;

  static constexpr std::uint16_t kDrop = 1U << 14;
  static constexpr std::uint16_t kPromote = 1U << 15;

  [[nodiscard]] static constexpr Move none() { return {0}; }
  [[nodiscard]] static constexpr Move board(Square from, Square to) {
    return {static_cast<std::uint16_t>(to | (from << 7))};
  }
  [[nodiscard]] static constexpr Move promotion(Square from, Square to) {
    return {static_cast<std::uint16_t>(to | (from << 7) | kPromote)};
  }
  [[nodiscard]] static constexpr Move drop(Kind kind, Square to) {
    return {static_cast<std::uint16_t>(to | (index(kind) << 7) | kDrop)};
  }

  [[nodiscard]] constexpr Square to() const { return bits & 127; }
  /// REQUIRES: not is_drop().
  [[nodiscard]] constexpr Square from() const { return (bits >> 7) & 127; }
  /// REQUIRES: is_drop().
  [[nodiscard]] constexpr Kind dropped() const { return static_cast<Kind>((bits >> 7) & 127); }
  [[nodiscard]] constexpr bool is_drop() const { return (bits & kDrop) != 0; }
  [[nodiscard]] constexpr bool is_promotion() const { return (bits & kPromote) != 0; }

  friend constexpr bool operator==(Move, Move) = default;
};

/// How many of each kind one side holds, packed so that equal hands have equal bits.
struct Hand {
  std::uint32_t bits = 0;

  // Pawn 5 bits (0..18); lance, knight, silver and gold 3 bits; bishop and rook 2 bits.
  static constexpr std::array<int, 8> kShift = {0, 0, 5, 8, 11, 14, 16, 18};
  static constexpr std::array<std::uint32_t, 8> kMask = {0, 31, 7, 7, 7, 3, 3, 7};

  /// REQUIRES for all: Pawn <= kind <= Gold.
  [[nodiscard]] constexpr int count(Kind kind) const {
    const auto i = static_cast<std::size_t>(index(kind));
    return static_cast<int>((bits >> kShift[i]) & kMask[i]);
  }
  [[nodiscard]] constexpr bool has(Kind kind) const { return count(kind) != 0; }
  constexpr void add(Kind kind) { bits += 1U << kShift[static_cast<std::size_t>(index(kind))]; }
  constexpr void remove(Kind kind) { bits -= 1U << kShift[static_cast<std::size_t>(index(kind))]; }
  [[nodiscard]] constexpr bool empty() const { return bits == 0; }

  friend constexpr bool operator==(Hand, Hand) = default;
};

}  // namespace keisei::shogi
