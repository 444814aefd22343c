#include "env/observation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "env/plain_planes.h"
#include "shogi/test_support.h"

namespace keisei::env {
namespace {

using shogi::Game;

GameContext context_of(const Game& game) {
  return {.repetition = game.earlier_occurrences(),
          .in_check = game.in_check(),
          .ply = game.ply(),
          .ply_cap = game.rules().max_plies};
}

/// Not-a-number everywhere before, so that a float left out is seen.
std::vector<float> planes_of(std::span<const Observation> batch) {
  std::vector<float> planes(batch.size() * kPlaneFloats, std::numeric_limits<float>::quiet_NaN());
  expand_planes(batch, planes);
  return planes;
}

float at(const std::vector<float>& planes, int plane, int square) {
  return planes[static_cast<std::size_t>(square) * kPlanes + static_cast<std::size_t>(plane)];
}

TEST(Observation, IsTheSameForTheTurnedPosition) {
  shogi::for_each_random_position(20, 51, [](const Game& game) {
    EXPECT_EQ(observe(game.position(), context_of(game)),
              observe(shogi::turned(game.position()), context_of(game)));
  });
}

TEST(Observation, ShowsTheMoversPiecesFirst) {
  const auto position = shogi::position_of("4k4/9/9/9/9/p8/9/9/4K3+R w 2Pb 1");
  const Observation seen =
      observe(position, {.repetition = 1, .in_check = true, .ply = 7, .ply_cap = 9});
  EXPECT_EQ(seen.board[4 * 9 + 8], 8);       // own king on 5i of the turned board
  EXPECT_EQ(seen.board[4 * 9 + 0], 8 + 14);  // the other on 5a
  EXPECT_EQ(seen.board[0 * 9 + 3], 1);       // own pawn
  EXPECT_EQ(seen.board[8 * 9 + 0], 14 + 14);
  EXPECT_EQ(std::ranges::count(seen.board, 0), 77);
  EXPECT_EQ(seen.hands, (std::array<std::uint8_t, 14>{0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(seen.repetition, 1);
  EXPECT_EQ(seen.in_check, 1);
  EXPECT_EQ(seen.ply, 7);
  EXPECT_EQ(seen.ply_cap, 9);
}

TEST(ExpandPlanes, PutsEachPieceOnItsOwnPlane) {
  shogi::for_each_random_position(5, 52, [](const Game& game) {
    const Observation seen = observe(game.position(), context_of(game));
    const std::vector<float> planes = planes_of({&seen, 1});
    for (int square = 0; square < kSquares; ++square) {
      for (int plane = 0; plane < 28; ++plane) {
        const bool stands = seen.board[static_cast<std::size_t>(square)] == plane + 1;
        ASSERT_EQ(at(planes, plane, square), stands ? 1.0F : 0.0F);
      }
    }
  });
}

TEST(ExpandPlanes, FillsTheScalarPlanes) {
  const auto position = shogi::position_of("4k4/9/9/9/9/9/9/9/4K4 b 9PL2NSBR4G3p 1");
  const Observation seen =
      observe(position, {.repetition = 2, .in_check = true, .ply = 128, .ply_cap = 512});
  const std::vector<float> planes = planes_of({&seen, 1});
  const float expected[20] = {0.5F, 0.25F, 0.5F, 0.25F, 0.5F, 0.5F, 1, 3.0F / 18, 0,     0,
                              0,    0,     0,    0,     1,    1,    0, 1,         0.25F, 1};
  for (int plane = 28; plane < kPlanes; ++plane) {
    for (int square = 0; square < kSquares; ++square) {
      EXPECT_FLOAT_EQ(at(planes, plane, square), expected[plane - 28]) << plane;
    }
  }
}

TEST(ExpandPlanes, WritesWhatThePlainLoopsWriteInRandomGames) {
  std::vector<float> plain(kPlaneFloats);
  int positions = 0;
  shogi::for_each_random_position(60, 54, [&](const Game& game) {
    Observation seen = observe(game.position(), context_of(game));
    seen.repetition = static_cast<std::uint8_t>(++positions % 4);  // seldom more than 0 by itself
    plain_planes(seen, plain);
    ASSERT_EQ(planes_of({&seen, 1}), plain) << shogi::to_sfen(game.position());
  });
  EXPECT_GT(positions, 10'000);
}

TEST(ExpandPlanes, WritesABatchAsItsMembersOneByOne) {
  std::vector<Observation> batch;
  shogi::for_each_random_position(2, 53, [&](const Game& game) {
    batch.push_back(observe(game.position(), context_of(game)));
  });
  const std::vector<float> together = planes_of(batch);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const std::vector<float> alone = planes_of({&batch[i], 1});
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(),
                           together.begin() + static_cast<std::ptrdiff_t>(i * kPlaneFloats)));
  }
}

}  // namespace
}  // namespace keisei::env
