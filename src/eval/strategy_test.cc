#include "eval/strategy.h"

#include <gtest/gtest.h>

namespace keisei::eval {
namespace {

TEST(Strategy, SinglePlaysAllGamesAgainstEach) {
  EXPECT_EQ(games_against_each(Strategy::Single, 20, 1), 20);
  EXPECT_EQ(games_against_each(Strategy::Single, 21, 3), 21);
}

TEST(Strategy, SharedDealsOutWholePairs) {
  EXPECT_EQ(games_against_each(Strategy::Shared, 21, 1), 21);
  EXPECT_EQ(games_against_each(Strategy::Shared, 20, 2), 10);
  EXPECT_EQ(games_against_each(Strategy::Shared, 20, 3), 6);
  EXPECT_EQ(games_against_each(Strategy::Shared, 2, 8), 2);
  EXPECT_EQ(games_against_each(Strategy::Shared, 100'000, 2), 50'000);
}

}  // namespace
}  // namespace keisei::eval
