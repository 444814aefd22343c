#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "shogi/bitboard.h"
#include "shogi/types.h"

namespace keisei::shogi {

/// Directions over the board as it stands; each of the first four leads to higher squares, and the
/// opposite of d is d ^ 4.
enum class Ray : std::uint8_t {
  South,      // towards rank i: +1
  West,       // towards file 9: +9
  SouthWest,  // +10
  NorthWest,  // +8
  North,
  East,
  NorthEast,
  SouthEast,
  None
};

[[nodiscard]] constexpr Ray opposite(Ray ray) {
  return static_cast<Ray>(static_cast<int>(ray) ^ 4);
}

/// Everything that is looked up by square: 40 KB, made by the compiler.
struct AttackTables {
  using BySquare = std::array<Bitboard, kSquareCount>;

  std::array<BySquare, 8> rays;  // [ray]: to the edge of the board, without the square
  std::array<std::array<BySquare, 5>, 2> steps;  // [color][pawn knight silver gold king]
  std::array<std::array<Ray, kSquareCount>, kSquareCount>
      directions;  // [from][to], None if no line
};
extern const AttackTables kAttackTables;  // NOLINT(readability-identifier-naming): is constexpr

[[nodiscard]] inline Bitboard ray_squares(Ray ray, Square from) {
  return kAttackTables.rays[static_cast<std::size_t>(ray)][static_cast<std::size_t>(from)];
}
[[nodiscard]] inline Ray direction(Square from, Square to) {
  return kAttackTables.directions[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)];
}

/// The squares strictly between two squares; empty where no rank, file or diagonal joins them.
[[nodiscard]] inline Bitboard between(Square a, Square b) {
  const Ray ray = direction(a, b);
  if (ray == Ray::None) {
    return {};
  }
  return ray_squares(ray, a) & ray_squares(opposite(ray), b);
}

/// The whole rank, file or diagonal through both squares. REQUIRES: there is one.
[[nodiscard]] inline Bitboard line_through(Square a, Square b) {
  const Ray ray = direction(a, b);
  return ray_squares(ray, a) | ray_squares(opposite(ray), a) | Bitboard::of(a);
}

/// The squares that a slider on `from` reaches along one ray, the first blocker included.
template <Ray ray>
[[nodiscard]] inline Bitboard slide(Square from, Bitboard occupied) {
  const Bitboard line = ray_squares(ray, from);
  const Bitboard blockers = line & occupied;
  if constexpr (static_cast<int>(ray) < 4) {
    // blockers - 1 over both words flips everything up to the first blocker.
    const std::uint64_t borrow = blockers.low == 0 ? 1 : 0;
    return {line.low & (blockers.low ^ (blockers.low - 1)),
            line.high & (blockers.high ^ (blockers.high - borrow))};
  } else {
    // Everything from the last blocker on; the whole word where there is none.
    const std::uint64_t low = ~std::uint64_t{0} << (63 - std::countl_zero(blockers.low | 1));
    const std::uint64_t high = ~std::uint64_t{0} << (63 - std::countl_zero(blockers.high | 1));
    return {blockers.high != 0 ? 0 : line.low & low, line.high & high};
  }
}

/// What the sliders reach on an empty board.
[[nodiscard]] inline Bitboard diagonal_lines(Square from) {
  return ray_squares(Ray::SouthWest, from) | ray_squares(Ray::NorthWest, from) |
         ray_squares(Ray::NorthEast, from) | ray_squares(Ray::SouthEast, from);
}
[[nodiscard]] inline Bitboard straight_lines(Square from) {
  return ray_squares(Ray::South, from) | ray_squares(Ray::West, from) |
         ray_squares(Ray::North, from) | ray_squares(Ray::East, from);
}
template <Color color>
[[nodiscard]] inline Bitboard lance_line(Square from) {
  return ray_squares(color == Color::Black ? Ray::North : Ray::South, from);
}

template <Color color>
[[nodiscard]] inline Bitboard lance_attacks(Square from, Bitboard occupied) {
  return color == Color::Black ? slide<Ray::North>(from, occupied)
                               : slide<Ray::South>(from, occupied);
}
[[nodiscard]] inline Bitboard bishop_attacks(Square from, Bitboard occupied) {
  return slide<Ray::SouthWest>(from, occupied) | slide<Ray::NorthWest>(from, occupied) |
         slide<Ray::NorthEast>(from, occupied) | slide<Ray::SouthEast>(from, occupied);
}
[[nodiscard]] inline Bitboard rook_attacks(Square from, Bitboard occupied) {
  return slide<Ray::South>(from, occupied) | slide<Ray::West>(from, occupied) |
         slide<Ray::North>(from, occupied) | slide<Ray::East>(from, occupied);
}

/// Steps of the pieces that do not slide; promoted minor pieces step like Gold.
enum class Step : std::uint8_t { Pawn, Knight, Silver, Gold, King };

template <Color color, Step step>
[[nodiscard]] inline Bitboard step_attacks(Square from) {
  return kAttackTables.steps[static_cast<std::size_t>(color)][static_cast<std::size_t>(step)]
                            [static_cast<std::size_t>(from)];
}
[[nodiscard]] inline Bitboard king_attacks(Square from) {
  return step_attacks<Color::Black, Step::King>(from);
}

/// What a piece of this colour and kind on `from` attacks. REQUIRES: kind is not None.
template <Color color>
[[nodiscard]] Bitboard attacks(Kind kind, Square from, Bitboard occupied);

}  // namespace keisei::shogi
