#include "shogi/attacks.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "shogi/legality.h"

namespace keisei::shogi {
namespace {

Bitboard random_squares(Rng& rng) {
  const Bitboard squares = {rng() & Bitboard::kLowMask, rng() & Bitboard::kHighMask};
  return rng.below(2) == 0 ? squares
                           : squares & Bitboard{rng() & rng(), rng() & Bitboard::kHighMask};
}

/// The same by a walk over a board on which pawns of nobody's concern are the blockers.
template <Color color>
Bitboard walked(Kind kind, Square from, Bitboard occupied) {
  std::array<Piece, kSquareCount> board{};
  for_each_square(occupied, [&](Square square) {
    board[static_cast<std::size_t>(square)] = make_piece(opponent(color), Kind::Pawn);
  });
  board[static_cast<std::size_t>(from)] = make_piece(color, kind);
  Bitboard found;
  for (Square to = 0; to < kSquareCount; ++to) {
    if (is_attacked(board, to, color)) {
      found |= Bitboard::of(to);
    }
  }
  return found;
}

template <Color color>
void expect_attacks_as_walked() {
  Rng rng(31, static_cast<std::uint64_t>(color));
  for (int kind = 1; kind < kKindCount; ++kind) {
    for (Square from = 0; from < kSquareCount; ++from) {
      for (int i = 0; i < 40; ++i) {
        const Bitboard occupied = random_squares(rng);
        EXPECT_EQ(attacks<color>(static_cast<Kind>(kind), from, occupied),
                  walked<color>(static_cast<Kind>(kind), from, occupied))
            << "kind " << kind << " from " << from;
      }
    }
  }
}

TEST(Attacks, OfBlackAreThoseOfAWalkOverTheBoard) { expect_attacks_as_walked<Color::Black>(); }
TEST(Attacks, OfWhiteAreThoseOfAWalkOverTheBoard) { expect_attacks_as_walked<Color::White>(); }

TEST(Attacks, BetweenAndLineFollowRanksFilesAndDiagonals) {
  const Square one_a = square_at(0, 0);
  EXPECT_EQ(between(one_a, square_at(0, 3)),
            Bitboard::of(square_at(0, 1)) | Bitboard::of(square_at(0, 2)));
  EXPECT_EQ(between(square_at(8, 8), square_at(6, 6)), Bitboard::of(square_at(7, 7)));
  EXPECT_TRUE(between(one_a, square_at(1, 2)).empty());
  EXPECT_TRUE(between(one_a, square_at(1, 1)).empty());
  EXPECT_EQ(line_through(square_at(4, 2), square_at(4, 7)).count(), 9);
  EXPECT_EQ(line_through(square_at(1, 0), square_at(0, 1)).count(), 2);
}

TEST(Bitboard, KeepsToTheBoard) {
  EXPECT_EQ(Bitboard::all().count(), 81);
  EXPECT_TRUE((~Bitboard::all()).empty());
  EXPECT_EQ((~Bitboard{}).count(), 81);
  EXPECT_EQ(ranks(0, 8), Bitboard::all());
}

TEST(Bitboard, VisitsSquaresInOrder) {
  Square next = 0;
  for_each_square(Bitboard::all(), [&](Square square) { EXPECT_EQ(square, next++); });
  EXPECT_EQ(next, 81);
}

TEST(Bitboard, KnowsMoreThanOneAcrossItsWords) {
  EXPECT_FALSE(Bitboard{}.more_than_one());
  EXPECT_FALSE(Bitboard::of(62).more_than_one());
  EXPECT_FALSE(Bitboard::of(63).more_than_one());
  EXPECT_TRUE((Bitboard::of(62) | Bitboard::of(63)).more_than_one());
  EXPECT_TRUE((Bitboard::of(0) | Bitboard::of(1)).more_than_one());
  EXPECT_TRUE((Bitboard::of(79) | Bitboard::of(80)).more_than_one());
}

}  // namespace
}  // namespace keisei::shogi
