#include "guard/hidden_memory.h"

#include <gtest/gtest.h>

#include "guard/resource_monitor_fixture.h"

namespace keisei::guard {
namespace {

class HiddenMemoryTest : public ResourceMonitorTest {};

TEST_F(HiddenMemoryTest, SeesMappedFilesThatNoPageTableShowsAndCountsEachOnce) {
  add(101, megabytes(5), megabytes(20));  // 20 MB of the file are in its page table
  add(102, megabytes(5));
  view_.processes[101].mapped = {{.file = {.device = 1, .inode = 9}, .allocated = megabytes(300)},
                                 {.file = kWeights, .allocated = megabytes(90)}};
  view_.processes[102].mapped = view_.processes[101].mapped;
  EXPECT_EQ(monitor().sample(now_).memory, megabytes(310));
}

TEST_F(HiddenMemoryTest, AMappedFileThatIsOpenToBeSeenCountsOnce) {
  add(101, megabytes(5));
  view_.processes[101].files = {{.file = {.device = 1, .inode = 9}, .allocated = megabytes(300)}};
  view_.processes[101].mapped = {{.file = {.device = 1, .inode = 9}, .allocated = megabytes(300)}};
  EXPECT_EQ(monitor().sample(now_).memory, megabytes(305));
}

TEST_F(HiddenMemoryTest, AddsWhatIsHiddenToWhatThePageTablesShowInTheExactProbe) {
  add(101, megabytes(5), megabytes(280));  // another 280 MB of files that are open
  view_.processes[101].files = {{.file = {.device = 1, .inode = 8}, .allocated = megabytes(280)}};
  view_.processes[101].mapped = {{.file = {.device = 1, .inode = 9}, .allocated = megabytes(300)}};
  view_.processes[101].mappings = {{.file = {.device = 1, .inode = 8},
                                    .shared_memory = true,
                                    .proportional = megabytes(280),
                                    .anonymous = {}},
                                   {.proportional = megabytes(5), .anonymous = megabytes(5)}};
  EXPECT_EQ(monitor().sample(now_).memory, megabytes(585));
}

TEST_F(HiddenMemoryTest, WhatNobodyCanMeasureIsBoundedByTheGrowthOfTheHost) {
  add(101, megabytes(50));
  view_.host = megabytes(4000);
  ResourceMonitor watching(view_, {.root = kInit,
                                   .memory_limit = megabytes(500),
                                   .worker = true,
                                   .host_shared_memory = megabytes(4000)});
  (void)watching.sample(now_);
  view_.host = megabytes(3900);  // somebody else gave some back
  (void)watching.sample(now_ + 3s);
  view_.processes[101].mapped = {{.file = {.device = 1, .inode = 9}, .allocated = std::nullopt}};
  view_.host = megabytes(4340);
  EXPECT_FALSE(watching.sample(now_ + 4s).growth_of_host);  // it may have come between
  EXPECT_FALSE(watching.sample(now_ + 5s).growth_of_host);  // 490 MB: it need not be its own
  view_.host = megabytes(4360);
  EXPECT_EQ(watching.next_interval(), 20ms);  // it may hold 440 MB that no look shows
  EXPECT_EQ(watching.sample(now_ + 6s).growth_of_host, megabytes(460));
  EXPECT_EQ(watching.metrics().peak_memory, megabytes(50));  // a bound is no figure of it
  view_.processes[101].mapped.clear();
  EXPECT_FALSE(watching.sample(now_ + 7s).growth_of_host);
}

TEST_F(HiddenMemoryTest, TheHostsGrowthCountsFromBeforeTheRun) {
  add(101, megabytes(50));
  view_.processes[101].mapped = {{.file = {.device = 1, .inode = 9}, .allocated = std::nullopt}};
  view_.host = megabytes(4600);  // it was quicker than the first sample
  ResourceMonitor watching(view_, {.root = kInit,
                                   .memory_limit = megabytes(500),
                                   .worker = true,
                                   .host_shared_memory = megabytes(4000)});
  (void)watching.sample(now_);
  EXPECT_EQ(watching.sample(now_ + 1s).growth_of_host, megabytes(600));
}

TEST_F(HiddenMemoryTest, AMappingThatIsNeverThereWhenAskedAfterIsReported) {
  add(101, megabytes(50));
  ResourceMonitor watching = monitor();
  for (std::uint64_t i = 1; i < 9; ++i) {  // each another one, soon gone: an honest program's
    view_.processes[101].mapped = {{.file = {.device = 1, .inode = i}, .allocated = std::nullopt}};
    EXPECT_EQ(watching.sample(now_ + i * 1s).uncounted, Uncounted::Nothing);
  }
  (void)watching.sample(now_ + 9s);
  EXPECT_EQ(watching.sample(now_ + 10s).uncounted, Uncounted::NeverThere);
  EXPECT_EQ(watching.metrics().uncounted, Uncounted::NeverThere);
  view_.processes[101].files = {{.file = {.device = 1, .inode = 8}, .allocated = megabytes(1)}};
  EXPECT_EQ(watching.sample(now_ + 11s).uncounted, Uncounted::Nothing);
}

TEST_F(HiddenMemoryTest, WhoMapsMoreThanCanBeCountedIsReported) {
  add(101, megabytes(50));
  ResourceMonitor watching = monitor();
  EXPECT_EQ(watching.sample(now_).uncounted, Uncounted::Nothing);
  view_.processes[101].mapped_complete = false;
  EXPECT_EQ(watching.sample(now_ + 1s).uncounted, Uncounted::TooMany);
  ResourceMonitor command(view_, {.root = kInit, .memory_limit = megabytes(500)});
  EXPECT_EQ(command.sample(now_).uncounted, Uncounted::Nothing);
  EXPECT_EQ(command.metrics().uncounted, Uncounted::TooMany);  // but its record says it
}

TEST_F(HiddenMemoryTest, ATreeThatMapsTooManyFilesInAllIsReported) {
  std::uint64_t next = 1000;
  for (pid_t pid = 101; pid <= 105; ++pid) {
    add(pid, megabytes(1));
    for (int i = 0; i < 1000; ++i) {
      view_.processes[pid].mapped.push_back(
          {.file = {.device = 1, .inode = next++}, .allocated = Bytes{4096}});
    }
  }
  ResourceMonitor watching = monitor();
  ResourceSample sample;
  for (int i = 0; i < 10; ++i) {
    sample = watching.sample(now_ + i * 1s);
  }
  EXPECT_EQ(sample.uncounted, Uncounted::TooMany);
  EXPECT_EQ(sample.memory, megabytes(5) + Bytes{5000 * 4096});
}

TEST_F(HiddenMemoryTest, ALookAtMappingsGoesOnWhereTheLastOneEnded) {
  for (pid_t pid = 101; pid <= 105; ++pid) {
    add(pid, megabytes(1));
    view_.processes[pid].mapped_cost = 3ms;
    view_.processes[pid].mapped = {{.file = {.device = 1, .inode = static_cast<std::uint64_t>(pid)},
                                    .allocated = megabytes(20)}};
  }
  ResourceMonitor watching = monitor();
  for (int look = 1; look <= 5; ++look) {
    EXPECT_EQ(watching.sample(now_ + look * 1s).memory, megabytes(5 + look * 20));
    EXPECT_EQ(view_.mapped_reads, look);
  }
  (void)watching.sample(now_ + 6s);
  EXPECT_EQ(watching.sample(now_ + 7s).memory, megabytes(105));  // in the next round, too
}

TEST_F(HiddenMemoryTest, AHiddenFileThatWasOpenedSinceCountsOnce) {
  add(101, megabytes(5));
  view_.processes[101].mapped_cost = 20ms;  // so that the next look is 80 ms away
  view_.processes[101].mapped = {{.file = {.device = 1, .inode = 9}, .allocated = megabytes(300)}};
  ResourceMonitor watching = monitor();
  EXPECT_EQ(watching.sample(now_).memory, megabytes(305));
  add(101, megabytes(5), megabytes(1));
  view_.processes[101].files = {{.file = {.device = 1, .inode = 9}, .allocated = megabytes(300)}};
  for (int i = 1; i <= 5; ++i) {
    EXPECT_LE(watching.sample(now_ + i * 50ms).memory, megabytes(306));
  }
}

TEST_F(HiddenMemoryTest, AnExcessIsNotBelievedBeforeWhatIsHiddenWasLookedAtAgain) {
  add(101, megabytes(5));
  view_.processes[101].mapped = {{.file = {.device = 1, .inode = 9}, .allocated = megabytes(450)}};
  ResourceMonitor watching = monitor();
  EXPECT_EQ(watching.sample(now_).memory, megabytes(455));
  view_.processes[101].mapped.clear();
  add(101, megabytes(400));
  view_.processes[101].mappings = {{.proportional = megabytes(400), .anonymous = megabytes(400)}};
  EXPECT_EQ(watching.sample(now_ + 1ms).memory, megabytes(400));
}

TEST_F(HiddenMemoryTest, TheSecondLookIsPaidForAlsoWhereItAcquits) {
  const auto map = [this](Bytes allocated) {
    view_.processes[101].mapped = {{.file = {.device = 1, .inode = 9}, .allocated = allocated}};
  };
  add(101, megabytes(5));
  map(megabytes(300));
  ResourceMonitor watching = monitor();
  (void)watching.sample(now_);  // the next scan is due after 32 ms
  map(megabytes(10));
  view_.processes[101].mapped_cost = 10ms;
  add(101, megabytes(201));
  EXPECT_EQ(watching.sample(now_ + 1ms).memory, megabytes(211));
  add(101, megabytes(495));  // too much, if the 10 MB are still there
  view_.processes[101].mappings = {{.proportional = megabytes(495), .anonymous = megabytes(495)}};
  const int reads = view_.mapped_reads;
  EXPECT_EQ(watching.sample(now_ + 2ms).memory, megabytes(500));  // not known to be above
  EXPECT_EQ(view_.mapped_reads, reads);
  EXPECT_EQ(watching.sample(now_ + 200ms).memory, megabytes(505));
}

TEST_F(HiddenMemoryTest, ACommandIsNotJudgedByABound) {
  add(101, megabytes(50));
  view_.processes[101].mapped = {{.file = {.device = 1, .inode = 9}, .allocated = std::nullopt}};
  view_.host = megabytes(1000);
  ResourceMonitor watching(view_, {.root = kInit, .memory_limit = megabytes(500)});
  (void)watching.sample(now_);
  view_.host = megabytes(9000);
  (void)watching.sample(now_ + 1s);
  EXPECT_EQ(watching.sample(now_ + 2s).memory, megabytes(50));
}

TEST_F(HiddenMemoryTest, WhereTheKernelHoldsTheMemoryNobodyLooksForWhatIsHidden) {
  add(101, megabytes(50));
  view_.processes[101].mapped = {{.file = {.device = 1, .inode = 9}, .allocated = megabytes(600)}};
  ResourceMonitor watching(
      view_, {.root = kInit, .memory_limit = megabytes(500), .kernel_holds_memory = true});
  EXPECT_EQ(watching.sample(now_).memory, megabytes(50));
}

}  // namespace
}  // namespace keisei::guard
