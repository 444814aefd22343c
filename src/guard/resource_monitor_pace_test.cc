#include <gtest/gtest.h>

#include "guard/resource_monitor_fixture.h"

namespace keisei::guard {
namespace {

TEST_F(ResourceMonitorTest, LooksMoreOftenNearTheLimit) {
  ResourceMonitor watching = monitor();
  add(101, megabytes(10));
  (void)watching.sample(now_);
  EXPECT_EQ(watching.next_interval(), 20ms);
  add(101, megabytes(440));
  (void)watching.sample(now_);
  EXPECT_EQ(watching.next_interval(), 10ms);  // 60 MB at 6 GB/s
  add(101, megabytes(499));
  (void)watching.sample(now_);
  EXPECT_EQ(watching.next_interval(), 2ms);
}

/// In 40 ms it can take 240 MB, and is 120 MB from its limit then.
TEST_F(ResourceMonitorTest, LooksLessOftenAtATreeThatHasItsSizeFarFromItsLimit) {
  add(101, megabytes(140));
  ResourceMonitor watching = monitor();
  for (const auto time : {0ms, 20ms, 240ms}) {  // what it took at first is growth for 250 ms
    (void)watching.sample(now_ + time);
    EXPECT_EQ(watching.next_interval(), 20ms);
  }
  (void)watching.sample(now_ + 260ms);
  EXPECT_EQ(watching.next_interval(), 40ms);
  add(101, megabytes(200));
  (void)watching.sample(now_ + 300ms);
  EXPECT_EQ(watching.next_interval(), 20ms);  // it grows
  (void)watching.sample(now_ + 560ms);
  EXPECT_EQ(watching.next_interval(), 30ms);  // 180 MB at 6 GB/s
  add(101, megabytes(260));
  (void)watching.sample(now_ + 590ms);
  (void)watching.sample(now_ + 850ms);
  EXPECT_EQ(watching.next_interval(), 20ms);
}

/// Until now, from when on it is looked at rarely.
class SettledTree : public ResourceMonitorTest {
 protected:
  SettledTree() {
    add(101, megabytes(10));
    (void)watching_.sample(now_);
    now_ += 300ms;
    (void)watching_.sample(now_);
  }

  ResourceMonitor watching_ = monitor();
};

TEST_F(SettledTree, IsLookedAtAsOftenAsCanBeWhenItIsNotYetKnown) {
  ASSERT_EQ(watching_.next_interval(), 40ms);
  add(102, megabytes(1));  // it may start others
  (void)watching_.sample(now_ + 40ms);
  EXPECT_EQ(watching_.next_interval(), 20ms);
  (void)watching_.sample(now_ + 60ms);
  EXPECT_EQ(watching_.next_interval(), 40ms);
  view_.processes[102].files = std::nullopt;  // what it has open nobody knows
  (void)watching_.sample(now_ + 140ms);
  EXPECT_EQ(watching_.next_interval(), 20ms);
}

TEST_F(SettledTree, IsLookedAtAsOftenAsCanBeWhenOnlyAScanSeesItGrow) {
  ASSERT_EQ(watching_.next_interval(), 40ms);
  view_.processes[101].files = {{.file = {.device = 1, .inode = 9}, .allocated = megabytes(50)}};
  (void)watching_.sample(now_ + 140ms);
  EXPECT_EQ(watching_.next_interval(), 20ms);
}

/// Sixteen processors take in a millisecond what two take in eight.
TEST_F(ResourceMonitorTest, LooksMoreOftenWhereMoreProcessorsFillTheMemory) {
  ResourceMonitor watching = monitor(megabytes(500), 16);
  add(101, megabytes(20));
  (void)watching.sample(now_);
  EXPECT_EQ(watching.next_interval(), 10ms);  // 480 MB at 48 GB/s
  add(101, megabytes(452));
  (void)watching.sample(now_ + 10ms);
  EXPECT_EQ(watching.next_interval(), 2ms);  // one process
  for (pid_t pid = 102; pid < 110; ++pid) {
    add(pid, megabytes(1));
  }
  (void)watching.sample(now_ + 20ms);
  EXPECT_EQ(watching.next_interval(), 833'333ns);  // 40 MB at 48 GB/s
  add(109, megabytes(40));
  (void)watching.sample(now_ + 21ms);
  EXPECT_EQ(watching.next_interval(), 444'444ns);  // nine processes
  view_.descriptor_scans = 0;
  MonotonicTime look = now_ + 21ms;
  for (int i = 0; i < 9; ++i) {
    look += watching.next_interval();
    (void)watching.sample(look);
  }
  EXPECT_LE(view_.descriptor_scans, 3 * 9);  // every 2 ms: not at each of them, of nine processes
  EXPECT_EQ(watching.next_interval(), 444'444ns);
  (void)watch(watching, now_ + 30ms, now_ + 400ms);
  EXPECT_EQ(watching.next_interval(), 2ms);  // it has its size
}

TEST_F(ResourceMonitorTest, ReadsDescriptorTablesAtALowerRate) {
  ResourceMonitor watching = monitor();
  add(101, megabytes(10));
  for (int i = 0; i < 10; ++i) {
    (void)watching.sample(now_ + i * 20ms);
  }
  EXPECT_EQ(view_.descriptor_scans, 4);  // every 60 ms: 82 at most, and a wait may be 40
}

TEST_F(SettledTree, HasItsDescriptorTablesReadEarlyRatherThanLate) {
  ASSERT_EQ(watching_.next_interval(), 40ms);
  view_.descriptor_scans = 0;
  (void)watching_.sample(now_ + 40ms);
  EXPECT_EQ(view_.descriptor_scans, 0);
  (void)watching_.sample(now_ + 80ms);  // 2 ms early: the next look is 38 ms late
  EXPECT_EQ(view_.descriptor_scans, 1);
  view_.processes[101].files = {{.file = {.device = 1, .inode = 9}, .allocated = megabytes(360)}};
  (void)watching_.sample(now_ + 160ms);
  EXPECT_EQ(view_.descriptor_scans, 2);
  ASSERT_EQ(watching_.next_interval(), 20ms);
  (void)watching_.sample(now_ + 179ms);  // common instants come before their time
  EXPECT_EQ(view_.descriptor_scans, 3);
}

/// Nobody knows at a look whether the next is 20 ms or 40 ms away: growth is just over.
TEST_F(ResourceMonitorTest, ReadsDescriptorTablesInTimeWhenATreeHasJustSettled) {
  ResourceMonitor watching = monitor();
  add(101, megabytes(123));
  (void)watching.sample(now_);
  add(101, megabytes(130));
  MonotonicTime last_scan = now_;
  for (const auto time : {20, 40, 60, 80, 100, 120, 140, 160, 180, 200, 220, 240, 260, 280, 320}) {
    const MonotonicTime now = now_ + std::chrono::milliseconds(time);
    const int before = view_.descriptor_scans;
    (void)watching.sample(now);
    if (view_.descriptor_scans > before) {
      EXPECT_LE(now - last_scan, 63ms);  // 377 MB at 6 GB/s
      last_scan = now;
    }
  }
  EXPECT_EQ(watching.next_interval(), 40ms);
  EXPECT_GE(last_scan, now_ + 280ms);
}

}  // namespace
}  // namespace keisei::guard
