#include "env/action_map.h"

#include <gtest/gtest.h>

#include <set>

#include "shogi/test_support.h"

namespace keisei::env {
namespace {

using shogi::Game;
using shogi::Move;
using shogi::Position;

TEST(ActionMap, IsABijectionOnTheLegalMovesOfRandomGames) {
  shogi::for_each_random_position(30, 41, [](const Game& game) {
    std::set<Action> seen;
    for (const Move move : game.legal_moves()) {
      const Action action = action_of(game.position(), move);
      ASSERT_LT(action, kActions);
      EXPECT_TRUE(seen.insert(action).second) << shogi::to_usi(move);
      EXPECT_EQ(move_of(game.position(), action), move);
    }
  });
}

TEST(ActionMap, GivesNoMoveForActionsThatAreNotLegal) {
  int positions = 0;
  shogi::for_each_random_position(10, 42, [&](const Game& game) {
    if (++positions % 37 != 0) {
      return;
    }
    std::size_t found = 0;
    for (int action = 0; action <= 65535; ++action) {
      found += move_of(game.position(), static_cast<Action>(action)) ? 1U : 0U;
    }
    EXPECT_EQ(found, game.legal_moves().size());
  });
}

TEST(ActionMap, IsTheSameForTheTurnedPosition) {
  shogi::for_each_random_position(30, 43, [](const Game& game) {
    const Position other = shogi::turned(game.position());
    for (const Move move : game.legal_moves()) {
      EXPECT_EQ(action_of(game.position(), move), action_of(other, shogi::turned(move)));
    }
  });
}

struct Row {
  const char* sfen;
  const char* move;
  int plane;
  const char* square;
};

TEST(ActionMap, NumbersPlanesByDirectionInTheMoversView) {
  const char* const king = "4k4/9/9/9/4K4/9/9/9/9 b 2RB2G2S2N2L9P 1";
  const Row rows[] = {
      {king, "5e5d", 0, "5d"},
      {king, "5e6d", 1, "6d"},
      {king, "5e4d", 2, "4d"},
      {king, "5e6e", 3, "6e"},
      {king, "5e4e", 4, "4e"},
      {king, "5e5f", 5, "5f"},
      {king, "5e6f", 6, "6f"},
      {king, "5e4f", 7, "4f"},
      {king, "P*1e", 20, "1e"},
      {king, "L*1e", 21, "1e"},
      {king, "N*1e", 22, "1e"},
      {king, "S*1e", 23, "1e"},
      {king, "B*1e", 24, "1e"},
      {king, "R*1e", 25, "1e"},
      {king, "G*1e", 26, "1e"},
      {"4k4/9/9/9/1N7/9/9/9/4K4 b - 1", "8e9c", 8, "9c"},
      {"4k4/9/9/9/1N7/9/9/9/4K4 b - 1", "8e7c", 9, "7c"},
      {"4k4/9/9/9/1N7/9/9/9/4K4 b - 1", "8e9c+", 18, "9c"},
      {"4k4/9/9/9/1N7/9/9/9/4K4 b - 1", "8e7c+", 19, "7c"},
      {"4k4/9/9/P8/9/9/9/9/4K4 b - 1", "9d9c+", 10, "9c"},
      {"4k4/9/9/9/9/p8/9/9/4K4 w - 1", "9f9g", 0, "1c"},
      {"4k4/9/9/9/9/p8/9/9/4K4 w - 1", "9f9g+", 10, "1c"},
      {"4k4/9/9/9/9/9/9/9/4K4 w r 1", "R*1a", 25, "9i"},
  };
  for (const Row& row : rows) {
    const Action action = action_of(shogi::position_of(row.sfen), shogi::move_of(row.move));
    const int square = shogi::square_at(row.square[0] - '1', row.square[1] - 'a');
    EXPECT_EQ(action, row.plane * 81 + square) << row.move;
  }
}

}  // namespace
}  // namespace keisei::env
