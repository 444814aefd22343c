#include "guard/hold_outs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "guard/impact_world.h"

namespace keisei::guard {
namespace {

using telemetry::FrameRecord;
using testing_support::World;

TEST(HoldOuts, AreThoseOfTheirSeedHoweverBlocksEnd) {
  World world(7);
  world.burst_loss = 0.02;
  world.go_on(30);
  for (int i = 0; i < 50; ++i) {
    world.come_and_go(0.1 * (i % 20));
    world.go_on(i % 7);
  }
  const HoldOutsCheck same = check_hold_outs(7, world.frames);
  EXPECT_GT(same.blocks, 50);
  EXPECT_EQ(same.others, 0);
  EXPECT_GT(check_hold_outs(8, world.frames).others, 10);
  const auto on = std::ranges::find_if(
      world.frames, [](const FrameRecord& frame) { return frame.setting == setting::kOn; });
  on->setting = setting::kOff;
  EXPECT_EQ(check_hold_outs(7, world.frames).others, 1);
}

TEST(HoldOuts, ForgedBlocksAreNotThoseOfASeed) {
  FrameRecord frame{.setting = "off", .block = 1'000'000'000'000'000'000, .slot = 1, .slots = 2};
  FrameRecord wide{.setting = "off", .block = 1, .slot = 1, .slots = 1LL << 32U};
  const std::vector<FrameRecord> frames = {wide, frame};
  EXPECT_EQ(check_hold_outs(7, frames).others, 2);
}

}  // namespace
}  // namespace keisei::guard
