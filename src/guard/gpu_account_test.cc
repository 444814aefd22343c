#include "guard/gpu_account.h"

#include <gtest/gtest.h>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr MonotonicTime kStart{100s};

/// One device on which process 7 used `percent`.
os::GpuReading reading(MonotonicTime asked_at, double percent) {
  return {.asked_at = asked_at,
          .devices = {{.name = "a", .uses = {{{7, percent, "sm"}}}, .memory = {{{7, {1000}}}}}}};
}

os::GpuReading silence(MonotonicTime asked_at) { return {.asked_at = asked_at, .devices = {}}; }

TEST(GpuAccount, IsNothingWithoutAReading) {
  GpuAccount account;
  account.note(std::nullopt, {7}, kStart);
  EXPECT_FALSE(account.result());
}

TEST(GpuAccount, KeepsTheHighestShareOfTheTree) {
  GpuAccount account;
  account.note(reading(kStart, 30), {7}, kStart);
  account.note(reading(kStart + 1s, 60), {7, 8}, kStart + 1s);
  account.note(reading(kStart + 2s, 90), {8}, kStart + 2s);  // not of the tree
  ASSERT_TRUE(account.result());
  EXPECT_DOUBLE_EQ(account.result()->utilization_percent, 60);
  EXPECT_FALSE(account.result()->device_wide);
  EXPECT_TRUE(account.result()->complete);
  EXPECT_EQ(account.result()->memory, Bytes{1000});
}

/// A driver that tells processes apart at times.
TEST(GpuAccount, KeepsTheRunsOwnShareBesideALargerFigureOfTheWholeDevice) {
  GpuAccount account;
  account.note(reading(kStart, 85), {7}, kStart);
  account.note(
      os::GpuReading{.asked_at = kStart + 1s, .devices = {{.name = "a", .busy_percent = 97}}}, {7},
      kStart + 1s);
  account.note(reading(kStart + 2s, 20), {7}, kStart + 2s);
  ASSERT_TRUE(account.result());
  EXPECT_DOUBLE_EQ(account.result()->utilization_percent, 97);
  EXPECT_TRUE(account.result()->device_wide);
  EXPECT_EQ(account.result()->own_percent, 85);
  EXPECT_EQ(account.result()->memory, Bytes{1000});
}

TEST(GpuAccount, LeavesOutWhatWasAskedBeforeTheRunBegan) {
  GpuAccount account;
  account.note(reading(kStart - 1ms, 99), {7}, kStart);
  EXPECT_FALSE(account.result());
}

TEST(GpuAccount, AProcessThatEndedSinceTheLastReadingStillCounts) {
  GpuAccount account;
  account.note(std::nullopt, {7}, kStart);
  account.note(reading(kStart + 10ms, 50), {8}, kStart + 20ms);
  ASSERT_TRUE(account.result());
  EXPECT_DOUBLE_EQ(account.result()->utilization_percent, 50);
}

TEST(GpuAccount, SilenceMakesItIncompleteAndNeverAValue) {
  GpuAccount account;
  account.note(silence(kStart), {7}, kStart);
  EXPECT_FALSE(account.result());
  account.note(reading(kStart + 1s, 10), {7}, kStart + 1s);
  ASSERT_TRUE(account.result());
  EXPECT_FALSE(account.result()->complete);
}

TEST(GpuAccount, SilenceAfterwardsMakesItIncompleteToo) {
  GpuAccount account;
  account.note(reading(kStart, 10), {7}, kStart);
  account.note(silence(kStart + 1s), {7}, kStart + 1s);
  EXPECT_DOUBLE_EQ(account.result()->utilization_percent, 10);
  EXPECT_FALSE(account.result()->complete);
}

TEST(GpuAccount, MoreProcessesThanCanBeAskedAboutMakeItIncomplete) {
  GpuAccount account;
  std::vector<pid_t> many(5000);
  for (std::size_t i = 0; i < many.size(); ++i) {
    many[i] = static_cast<pid_t>(i + 1);
  }
  account.note(std::nullopt, many, kStart);
  account.note(reading(kStart + 1s, 10), {7}, kStart + 1s);
  ASSERT_TRUE(account.result());
  EXPECT_FALSE(account.result()->complete);
}

}  // namespace
}  // namespace keisei::guard
