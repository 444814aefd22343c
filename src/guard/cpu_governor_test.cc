#include "guard/cpu_governor.h"

#include <gtest/gtest.h>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

/// A tree that uses `cores` whenever it may run, looked at every 10 ms for 10 s.
double share_used(double percent, double cores) {
  MonotonicTime now{1s};
  CpuGovernor governor(percent, now);
  double used = 0;
  bool running = true;
  for (int i = 0; i < 1000; ++i) {
    now += 10ms;
    used += running ? cores * 0.01 : 0;
    running = governor.may_run(now, used);
  }
  return used / 10 * 100;
}

TEST(CpuGovernor, HoldsASpinningTreeToItsShare) {
  EXPECT_NEAR(share_used(20, 1), 20, 1);
  EXPECT_NEAR(share_used(50, 2), 50, 1);
  EXPECT_NEAR(share_used(100, 2), 100, 1);
}

TEST(CpuGovernor, LeavesATreeBelowItsShareAlone) {
  EXPECT_NEAR(share_used(100, 0.5), 50, 0.1);
  EXPECT_NEAR(share_used(200, 2), 200, 0.1);
}

TEST(CpuGovernor, AnIdleTreeSavesNoMoreThanATenthOfASecond) {
  MonotonicTime now{1s};
  CpuGovernor governor(50, now);
  now += 100s;
  EXPECT_TRUE(governor.may_run(now, 0));
  now += 10ms;
  EXPECT_FALSE(governor.may_run(now, 0.07));  // 50 ms were saved, 5 ms came on top
}

}  // namespace
}  // namespace keisei::guard
