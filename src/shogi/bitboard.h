#pragma once

#include <bit>
#include <cstdint>

#include "shogi/types.h"

namespace keisei::shogi {

/// A set of squares: files 1-7 are bits 0..62 of `low`, files 8-9 bits 0..17 of `high`. The other
/// bits stay 0 (`~` clears them).
struct Bitboard {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  static constexpr int kLowSquares = 63;
  static constexpr std::uint64_t kLowMask = (std::uint64_t{1} << kLowSquares) - 1;
  static constexpr std::uint64_t kHighMask = (std::uint64_t{1} << 18) - 1;

  [[nodiscard]] static constexpr Bitboard all() { return {kLowMask, kHighMask}; }
  [[nodiscard]] static constexpr Bitboard of(Square square) {
    return square < kLowSquares ? Bitboard{std::uint64_t{1} << square, 0}
                                : Bitboard{0, std::uint64_t{1} << (square - kLowSquares)};
  }

  [[nodiscard]] constexpr bool empty() const { return (low | high) == 0; }
  [[nodiscard]] constexpr bool contains(Square square) const {
    return !(*this & of(square)).empty();
  }
  [[nodiscard]] constexpr int count() const { return std::popcount(low) + std::popcount(high); }
  [[nodiscard]] constexpr bool more_than_one() const {
    return ((low & (low - 1)) | (high & (high - 1)) | (low != 0 ? high : 0)) != 0;
  }
  /// REQUIRES: not empty.
  [[nodiscard]] constexpr Square first() const {
    return low != 0 ? std::countr_zero(low) : kLowSquares + std::countr_zero(high);
  }

  friend constexpr bool operator==(Bitboard, Bitboard) = default;
  friend constexpr Bitboard operator&(Bitboard a, Bitboard b) {
    return {a.low & b.low, a.high & b.high};
  }
  friend constexpr Bitboard operator|(Bitboard a, Bitboard b) {
    return {a.low | b.low, a.high | b.high};
  }
  friend constexpr Bitboard operator^(Bitboard a, Bitboard b) {
    return {a.low ^ b.low, a.high ^ b.high};
  }
  friend constexpr Bitboard operator~(Bitboard a) {
    return {~a.low & kLowMask, ~a.high & kHighMask};
  }
  /// The squares of `a` that are not in `b`.
  [[nodiscard]] friend constexpr Bitboard without(Bitboard a, Bitboard b) {
    return {a.low & ~b.low, a.high & ~b.high};
  }
  constexpr Bitboard& operator&=(Bitboard b) { return *this = *this & b; }
  constexpr Bitboard& operator|=(Bitboard b) { return *this = *this | b; }
  constexpr Bitboard& operator^=(Bitboard b) { return *this = *this ^ b; }
};

/// Calls visit(Square) for each square in ascending order.
template <typename Visit>
constexpr void for_each_square(Bitboard set, Visit visit) {
  for (std::uint64_t bits = set.low; bits != 0; bits &= bits - 1) {
    visit(static_cast<Square>(std::countr_zero(bits)));
  }
  for (std::uint64_t bits = set.high; bits != 0; bits &= bits - 1) {
    visit(Bitboard::kLowSquares + static_cast<Square>(std::countr_zero(bits)));
  }
}

/// The whole board one square towards rank a (Black's forward) or rank i. What stands on the last
/// rank would come out on the neighbouring file: mask it away before.
[[nodiscard]] constexpr Bitboard shift_up(Bitboard set) { return {set.low >> 1, set.high >> 1}; }
[[nodiscard]] constexpr Bitboard shift_down(Bitboard set) { return {set.low << 1, set.high << 1}; }

/// All nine squares of ranks first..last (0 is rank a).
[[nodiscard]] constexpr Bitboard ranks(int first, int last) {
  Bitboard set;
  for (int file = 0; file < 9; ++file) {
    for (int rank = first; rank <= last; ++rank) {
      set |= Bitboard::of(square_at(file, rank));
    }
  }
  return set;
}

/// The `count` ranks that are farthest from `color`'s own side; 3 is the promotion zone.
template <Color color, int count>
inline constexpr Bitboard kFarRanks =
    color == Color::Black ? ranks(0, count - 1) : ranks(9 - count, 8);

}  // namespace keisei::shogi
