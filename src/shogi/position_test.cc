#include "shogi/position.h"

#include <gtest/gtest.h>

#include "shogi/legality.h"
#include "shogi/test_support.h"

namespace keisei::shogi {
namespace {

TEST(Position, StartsAsTheStartSfenSays) {
  EXPECT_EQ(Position::start(), position_of(kStartSfen));
  EXPECT_EQ(to_sfen(Position::start()), kStartSfen);
}

TEST(Position, NeverLeavesTheMoverInCheck) {
  for_each_random_position(10, 13, [](const Game& game) {
    EXPECT_TRUE(validate(game.position().placement()).has_value());
  });
}

TEST(Position, FindsTheAttackersThatAWalkOverTheBoardFinds) {
  int positions = 0;
  for_each_random_position(10, 14, [&](const Game& game) {
    if (++positions % 5 != 0) {
      return;
    }
    const Position& position = game.position();
    const auto board = position.placement().board;
    for (Square square = 0; square < kSquareCount; ++square) {
      for (const Color by : {Color::Black, Color::White}) {
        EXPECT_EQ(!position.attackers(by, square, position.occupied()).empty(),
                  is_attacked(board, square, by));
      }
    }
  });
}

TEST(PositionKey, TellsHandsAndSideApart) {
  const auto key = [](std::string_view sfen) { return position_of(sfen).key(); };
  const PositionKey plain = key("4k4/9/9/9/9/9/9/9/4K4 b - 1");
  EXPECT_EQ(plain, key("4k4/9/9/9/9/9/9/9/4K4 b - 77"));
  EXPECT_NE(plain, key("4k4/9/9/9/9/9/9/9/4K4 w - 1"));
  EXPECT_NE(plain, key("4k4/9/9/9/9/9/9/9/4K4 b P 1"));
  EXPECT_NE(key("4k4/9/9/9/9/9/9/9/4K4 b p 1"), key("4k4/9/9/9/9/9/9/9/4K4 b P 1"));
}

TEST(PositionKey, DoesNotDependOnTheOrderOfMoves) {
  Position one = Position::start();
  Position other = Position::start();
  for (const char* move : {"7g7f", "3c3d", "2g2f", "8c8d"}) {
    (void)one.do_move(move_of(move));
  }
  for (const char* move : {"2g2f", "8c8d", "7g7f", "3c3d"}) {
    (void)other.do_move(move_of(move));
  }
  EXPECT_EQ(one, other);
}

}  // namespace
}  // namespace keisei::shogi
