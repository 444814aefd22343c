#include "shogi/usi_move.h"

#include <gtest/gtest.h>

#include <string>

namespace keisei::shogi {
namespace {

TEST(UsiMove, SurvivesTheRoundTripForEveryMove) {
  for (Square to = 0; to < kSquareCount; ++to) {
    for (Square from = 0; from < kSquareCount; ++from) {
      if (from != to) {
        EXPECT_EQ(*parse_usi_move(to_usi(Move::board(from, to))), Move::board(from, to));
        EXPECT_EQ(*parse_usi_move(to_usi(Move::promotion(from, to))), Move::promotion(from, to));
      }
    }
    for (int kind = 1; kind <= kHandKindCount; ++kind) {
      const Move move = Move::drop(static_cast<Kind>(kind), to);
      EXPECT_EQ(*parse_usi_move(to_usi(move)), move);
    }
  }
}

TEST(UsiMove, NamesSquaresByFileAndRank) {
  EXPECT_EQ(to_usi(Move::board(square_at(6, 6), square_at(6, 5))), "7g7f");
  EXPECT_EQ(to_usi(Move::promotion(square_at(1, 1), square_at(2, 2))), "2b3c+");
  EXPECT_EQ(to_usi(Move::drop(Kind::Bishop, square_at(4, 4))), "B*5e");
}

TEST(UsiMove, RefusesEverythingElse) {
  using std::string_literals::operator""s;
  for (const std::string& text :
       {""s,      "7"s,      "7g"s,     "7g7"s,   "7g7f "s, " 7g7f"s, "7g7f++"s,
        "7g7f-"s, "7g7f\0"s, "7g7g"s,   "0a1a"s,  "1a0a"s,  "1j1a"s,  "1A1b"s,
        "a1b1"s,  "p*5e"s,   "K*5e"s,   "P*5e+"s, "+P*5e"s, "P5e"s,   "P*0e"s,
        "P*5j"s,  "*P5e"s,   "resign"s, "win"s,   "none"s,  "0000"s,  "\xff\xff\xff\xff"s}) {
    const Result<Move> move = parse_usi_move(text);
    ASSERT_FALSE(move.has_value()) << in_quotes(text);
    EXPECT_NE(move.error().message.find(in_quotes(text)), std::string::npos);
  }
}

TEST(InQuotes, SpellsOutUnprintableBytesAndCutsLongText) {
  using std::string_literals::operator""s;
  EXPECT_EQ(in_quotes("a\0\n\xff"s), "«a\\x00\\x0a\\xff»");
  EXPECT_EQ(in_quotes(std::string(101, 'x')), "«" + std::string(100, 'x') + "...»");
}

}  // namespace
}  // namespace keisei::shogi
