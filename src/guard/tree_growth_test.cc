#include "guard/tree_growth.h"

#include <gtest/gtest.h>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

class TreeGrowthTest : public testing::Test {
 protected:
  bool look(std::int64_t megabytes_of_it, std::chrono::nanoseconds at) {
    growth_.note(megabytes(megabytes_of_it), MonotonicTime{} + 10s + at);
    return growth_.seen();
  }

  TreeGrowth growth_{megabytes(500)};
};

TEST_F(TreeGrowthTest, WhatIsThereAtTheFirstLookHasGrown) { EXPECT_TRUE(look(100, 0ms)); }

TEST_F(TreeGrowthTest, IsRememberedForAQuarterOfASecond) {
  look(100, 0ms);
  EXPECT_TRUE(look(100, 250ms));
  EXPECT_FALSE(look(100, 251ms));
}

TEST_F(TreeGrowthTest, ATreeThatBreathesDoesNotGrow) {
  look(100, 0ms);
  EXPECT_FALSE(look(104, 300ms));
  EXPECT_FALSE(look(100, 320ms));
  EXPECT_FALSE(look(105, 340ms));
}

TEST_F(TreeGrowthTest, AddsUpOverLooksThatFollowEachOtherClosely) {
  look(100, 0ms);
  EXPECT_FALSE(look(100, 300ms));
  EXPECT_FALSE(look(102, 302ms));
  EXPECT_FALSE(look(104, 304ms));
  EXPECT_TRUE(look(106, 306ms));
}

TEST_F(TreeGrowthTest, WhatBreathesOutAndInAgainHasGrown) {
  look(100, 0ms);
  EXPECT_FALSE(look(90, 300ms));
  EXPECT_TRUE(look(96, 310ms));
}

TEST_F(TreeGrowthTest, ASlowDriftIsNone) {
  look(100, 0ms);
  for (int i = 1; i <= 20; ++i) {
    look(100 + 4 * i, i * 101ms);
  }
  EXPECT_FALSE(look(184, 21 * 101ms));
}

TEST_F(TreeGrowthTest, TimeInWhichItStoodStillTellsNothing) {
  look(100, 0ms);
  growth_.leave_out(5s);
  EXPECT_TRUE(look(100, 5s + 250ms));
  EXPECT_FALSE(look(100, 5s + 251ms));
}

TEST_F(TreeGrowthTest, GrowthBeforeAndAfterItAddsUp) {
  look(100, 0ms);
  EXPECT_FALSE(look(100, 300ms));
  growth_.leave_out(5s);
  EXPECT_FALSE(look(103, 5s + 310ms));
  EXPECT_TRUE(look(106, 5s + 320ms));
}

/// A tree that has rested at `from`, in megabytes, and has `to` at the next look.
bool grows(std::int64_t limit, std::int64_t from, std::int64_t to) {
  TreeGrowth growth(megabytes(limit));
  growth.note(megabytes(from), MonotonicTime{} + 10s);
  growth.note(megabytes(from), MonotonicTime{} + 11s);
  growth.note(megabytes(to), MonotonicTime{} + 11s + 1ms);
  return growth.seen();
}

TEST(TreeGrowthOfOtherLimits, BreathesAHundredthOfThemAndFiveMegabytesAtMost) {
  EXPECT_FALSE(grows(200, 100, 102));
  EXPECT_TRUE(grows(200, 100, 103));
  EXPECT_FALSE(grows(2000, 100, 105));
  EXPECT_TRUE(grows(2000, 100, 106));
}

}  // namespace
}  // namespace keisei::guard
