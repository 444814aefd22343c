#include "guard/look_pace.h"

#include <gtest/gtest.h>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

/// Of two processors, up to 500 MB.
LookPace two() { return {megabytes(500), 2}; }

TEST(LookPace, UsesUpNoMoreThanWhatIsLeft) {
  EXPECT_EQ(two().until_next_look({.memory = megabytes(10)}), 20ms);
  EXPECT_EQ(two().until_next_look({.memory = megabytes(440)}), 10ms);  // 60 MB at 6 GB/s
  EXPECT_EQ(two().until_next_look({.memory = megabytes(499)}), 2ms);
  EXPECT_EQ(two().until_next_look({.memory = megabytes(900)}), 2ms);
}

TEST(LookPace, ASettledTreeIsStillFarFromItsLimitAfterALongWait) {
  EXPECT_EQ(two().until_next_look({.memory = megabytes(140), .settled = true}), 40ms);
  EXPECT_EQ(two().until_next_look({.memory = megabytes(200), .settled = true}), 30ms);
  EXPECT_EQ(two().until_next_look({.memory = megabytes(300), .settled = true}), 20ms);
  EXPECT_EQ(two().until_next_look({.memory = megabytes(440), .settled = true}), 10ms);
}

TEST(LookPace, ManyProcessorsCountAsFarAsATreeThatGrowsHasTasksForThem) {
  const LookPace sixteen{megabytes(500), 16};
  const Bytes near = megabytes(499);
  EXPECT_EQ(sixteen.until_next_look({.memory = near, .tasks = 16}), 2ms);
  EXPECT_EQ(sixteen.until_next_look({.memory = near, .tasks = 16, .grows = true}), 250us);
  EXPECT_EQ(sixteen.until_next_look({.memory = near, .tasks = 8, .grows = true}), 500us);
  EXPECT_EQ(sixteen.until_next_look({.memory = near, .tasks = 99, .grows = true}), 250us);
  const LookPace one{megabytes(500), 1};  // takes what two do, for all that is known
  EXPECT_EQ(one.until_next_look({.memory = near, .tasks = 99, .grows = true}), 2ms);
}

TEST(LookPace, DescriptorTablesAreReadMoreOftenNearTheLimit) {
  EXPECT_EQ(two().until_next_scan({}), 500'000'000ns / 6);
  EXPECT_EQ(two().until_next_scan(megabytes(499)), 2ms);
  const LookPace large{megabytes(10'000), 2};
  EXPECT_EQ(large.until_next_scan({}), 100ms);
}

TEST(LookPace, ManyTasksTakeMoreBeforeTheGuardsTurnComes) {
  EXPECT_EQ(LookPace::taken_while_all_run(1), megabytes(120));
  EXPECT_EQ(LookPace::taken_while_all_run(100), megabytes(900));  // 3 ms each, at 3 GB/s
  EXPECT_TRUE(two().is_far(megabytes(380)));
  EXPECT_FALSE(two().is_far(megabytes(381)));
}

TEST(NextCommonInstant, IsTheSameForAllThatMayWaitForTheNextOne) {
  const MonotonicTime now{1'007ms};
  EXPECT_EQ(next_common_instant(now, 40ms), MonotonicTime{1'040ms});
  EXPECT_EQ(next_common_instant(now + 3ms, 40ms), MonotonicTime{1'040ms});
  EXPECT_EQ(next_common_instant(now, 20ms), MonotonicTime{1'020ms});
  EXPECT_EQ(next_common_instant(now, 39ms), MonotonicTime{1'040ms});  // 1,046 at most
  EXPECT_EQ(next_common_instant(now, 30ms), MonotonicTime{1'020ms});  // 1,037
}

TEST(NextCommonInstant, IsAfterNowAndNotAfterTheWait) {
  for (auto now = MonotonicTime{1s}; now < MonotonicTime{1'100ms}; now += 700us) {
    for (const std::chrono::nanoseconds wait : {2ms, 19ms, 20ms, 33ms, 40ms, 100ms}) {
      const MonotonicTime next = next_common_instant(now, wait);
      EXPECT_GT(next, now);
      EXPECT_LE(next, now + wait);
      EXPECT_TRUE(wait >= 20ms || next == now + wait);
    }
  }
}

}  // namespace
}  // namespace keisei::guard
