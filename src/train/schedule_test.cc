#include "train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace keisei::train {
namespace {

TEST(Schedule, GoesLinearlyFromStartToEndAndStaysThere) {
  const Schedule schedule{.learning_rate_start = 1e-3,
                          .learning_rate_end = 5e-4,
                          .entropy_start = 0.01,
                          .entropy_end = 0,
                          .total_steps = 1000};
  EXPECT_DOUBLE_EQ(schedule.learning_rate(0), 1e-3);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(500), 7.5e-4);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(1000), 5e-4);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(9999), 5e-4);
  EXPECT_DOUBLE_EQ(schedule.entropy(250), 0.0075);
  EXPECT_DOUBLE_EQ(schedule.entropy(2000), 0);
}

TEST(Schedule, KlStopFiresAboveItsLimitAndOnNan) {
  EXPECT_FALSE(kl_exceeds(0.03, 0.03));
  EXPECT_TRUE(kl_exceeds(0.0301, 0.03));
  EXPECT_TRUE(kl_exceeds(std::numeric_limits<double>::quiet_NaN(), 0.03));
}

TEST(Schedule, ClipsOnlyWhatIsTooLong) {
  EXPECT_DOUBLE_EQ(clip_factor(0.5, 1), 1);
  EXPECT_DOUBLE_EQ(clip_factor(4, 1), 0.25);
}

TEST(Schedule, EveryMultipleIsCrossedOnceWhateverTheStride) {
  for (const std::int64_t interval : {100, 128, 250, 1000, 1024}) {
    for (const std::int64_t stride : {7, 64, 96, 100}) {
      std::int64_t fired = 0;
      std::int64_t step = 0;
      for (; step < 20'000; step += stride) {
        fired += crosses_multiple(step, step + stride, interval) ? 1 : 0;
      }
      EXPECT_EQ(fired, step / interval) << interval << " by " << stride;
    }
  }
}

}  // namespace
}  // namespace keisei::train
