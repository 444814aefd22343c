#include "guard/resource_monitor.h"

#include <gtest/gtest.h>

#include "guard/resource_monitor_fixture.h"

namespace keisei::guard {
namespace {

TEST_F(ResourceMonitorTest, SumsTheWholeTree) {
  add(101, megabytes(5));
  add(102, megabytes(300), megabytes(20));
  ResourceMonitor watching = monitor();
  const ResourceSample sample = watching.sample(now_);
  EXPECT_EQ(sample.memory, megabytes(325));
  EXPECT_EQ(sample.processes, 2);
  EXPECT_EQ(sample.threads, 4);
}

TEST_F(ResourceMonitorTest, NamesTheLargestFirstAndLastWhatItCannotRead) {
  add(101, megabytes(1));
  add(102, megabytes(30));
  add(103, megabytes(40));
  add(104, megabytes(4));
  view_.processes.at(102).memory_hidden = true;
  ResourceMonitor watching = monitor();
  (void)watching.sample(now_);
  EXPECT_EQ(watching.largest_members(10), (std::vector<pid_t>{103, 104, 101, 102}));
  EXPECT_EQ(watching.largest_members(2), (std::vector<pid_t>{103, 104}));
}

TEST_F(ResourceMonitorTest, ReadsNoMemoryOfATreeThatHasDoneNothing) {
  add(101, megabytes(5));
  add(102, megabytes(7));
  view_.processes[101].cpu_time = view_.processes[102].cpu_time = 5ms;
  ResourceMonitor watching = monitor();
  (void)watching.sample(now_);
  (void)watching.sample(now_ + 20ms);  // who was found at the first may have started others
  EXPECT_FALSE(watching.still());
  view_.memory_reads = 0;
  view_.processes[101].memory.anonymous = megabytes(9);  // seen by nobody
  const ResourceSample same = watching.sample(now_ + 40ms);
  EXPECT_TRUE(watching.still());
  EXPECT_EQ(view_.memory_reads, 0);
  EXPECT_EQ(same.memory, megabytes(12));
  EXPECT_EQ(same.processes, 2);
  view_.processes[102].cpu_time += 1ns;  // it may have written into the other
  EXPECT_EQ(watching.sample(now_ + 60ms).memory, megabytes(16));
  EXPECT_FALSE(watching.still());
}

TEST_F(ResourceMonitorTest, ReadsTheMemoryOfAStillTreeAllTheSameTwiceASecond) {
  add(101, megabytes(5));
  view_.processes[101].cpu_time = 5ms;
  ResourceMonitor watching = monitor();
  (void)watching.sample(now_);
  (void)watching.sample(now_ + 20ms);
  view_.processes[101].memory.anonymous = megabytes(9);
  EXPECT_EQ(watching.sample(now_ + 519ms).memory, megabytes(5));
  EXPECT_EQ(watching.sample(now_ + 520ms).memory, megabytes(9));
}

TEST_F(ResourceMonitorTest, TakesNoTreeForStillNearItsLimit) {
  add(101, megabytes(390));
  view_.processes[101].cpu_time = 5ms;
  ResourceMonitor watching = monitor();
  for (int i = 0; i < 4; ++i) {
    (void)watching.sample(now_ + i * 20ms);
    EXPECT_FALSE(watching.still());
  }
}

TEST_F(ResourceMonitorTest, TakesNoTreeForStillWhereItsActivityMayNotShow) {
  add(101, megabytes(5));
  view_.processes[101].cpu_time = 5ms;
  ResourceMonitor watching = monitor();
  (void)watching.sample(now_);
  (void)watching.sample(now_ + 20ms);
  view_.all_activity_shows = false;
  (void)watching.sample(now_ + 40ms);
  EXPECT_FALSE(watching.still());
  view_.all_activity_shows = true;
  view_.processes[101].cpu_time = 0ns;  // nobody tells
  (void)watching.sample(now_ + 60ms);
  (void)watching.sample(now_ + 80ms);
  EXPECT_FALSE(watching.still());
}

TEST_F(ResourceMonitorTest, LeavesOutTheWeightsThatWereHandedIn) {
  add(101, megabytes(5), megabytes(90));
  view_.processes[101].files = {{.file = kWeights, .allocated = megabytes(90)}};
  view_.processes[101].mappings = {weights(megabytes(90))};
  EXPECT_EQ(monitor().sample(now_).memory, megabytes(5));
}

TEST_F(ResourceMonitorTest, WeightsThatNobodyMapsGiveNoAllowance) {
  add(101, megabytes(5), megabytes(90));  // shared memory of its own
  view_.processes[101].files = {{.file = kWeights, .allocated = megabytes(90)}};
  ResourceMonitor watching = monitor();
  EXPECT_EQ(watching.sample(now_).memory, megabytes(95));
  view_.processes[101].mappings = {weights(megabytes(60))};
  EXPECT_EQ(watching.sample(now_ + 100ms).memory, megabytes(95));
  EXPECT_EQ(watching.sample(now_ + 300ms).memory, megabytes(35));
}

TEST_F(ResourceMonitorTest, SeesMemfdsThatNobodyMapsAndCountsEachOnce) {
  add(101, megabytes(5));
  add(102, megabytes(5));
  view_.processes[101].files = {{.file = {.device = 1, .inode = 9}, .allocated = megabytes(300)}};
  view_.processes[102].files = view_.processes[101].files;
  EXPECT_EQ(monitor().sample(now_).memory, megabytes(310));
}

TEST_F(ResourceMonitorTest, MeasuresExactlyBeforeItCallsSharedPagesABreach) {
  for (const pid_t pid : {101, 102, 103}) {  // three forks share 290 MB by copy on write
    add(pid, megabytes(300));
    view_.processes[pid].mappings = {
        {.shared_memory = false, .proportional = megabytes(107), .anonymous = {}}};
  }
  ResourceMonitor watching = monitor();
  EXPECT_EQ(watching.sample(now_).memory, megabytes(321));
  EXPECT_EQ(view_.exact_probes, 3);
  add(101, megabytes(310));  // growth since then counts in full, without another dear probe
  EXPECT_EQ(watching.sample(now_ + 10ms).memory, megabytes(331));
  EXPECT_EQ(view_.exact_probes, 3);
}

TEST_F(ResourceMonitorTest, LooksAgainForSharedPagesThatWereCopiedSince) {
  for (const pid_t pid : {101, 102, 103}) {
    add(pid, megabytes(300));
    view_.processes[pid].mappings = {
        {.shared_memory = false, .proportional = megabytes(107), .anonymous = {}}};
  }
  ResourceMonitor watching = monitor();
  EXPECT_EQ(watching.sample(now_).memory, megabytes(321));
  for (const pid_t pid : {101, 102, 103}) {  // each has its own copy now; the cheap sum stays
    view_.processes[pid].mappings.front().proportional = megabytes(300);
  }
  EXPECT_EQ(watching.sample(now_ + 10ms).memory, megabytes(321));
  EXPECT_EQ(watching.sample(now_ + 100ms).memory, megabytes(900));
}

TEST_F(ResourceMonitorTest, NewForksAreMeasuredAgainAndNotJudgedByTheirCheapSum) {
  add(101, megabytes(300));
  add(102, megabytes(300));
  for (const pid_t pid : {101, 102, 103}) {
    view_.processes[pid].mappings = {
        {.shared_memory = false, .proportional = megabytes(100), .anonymous = {}}};
  }
  view_.processes.erase(103);
  ResourceMonitor watching = monitor();
  EXPECT_EQ(watching.sample(now_).memory, megabytes(200));
  add(103, megabytes(310));
  view_.processes[103].mappings = view_.processes[101].mappings;
  EXPECT_LE(watching.sample(now_ + 1ms).memory, megabytes(500));
  EXPECT_EQ(watching.sample(now_ + 1s).memory, megabytes(300));
}

/// Nor does it count as nothing.
TEST_F(ResourceMonitorTest, WhatCannotBeReadCountsAsIfNobodySharedIt) {
  for (const pid_t pid : {101, 102, 103}) {
    add(pid, megabytes(300));
    view_.processes[pid].hides_mappings = pid != 101;
    view_.processes[pid].mappings = {
        {.shared_memory = false, .proportional = megabytes(100), .anonymous = {}}};
  }
  ResourceMonitor watching = monitor();
  EXPECT_EQ(watching.sample(now_).memory, megabytes(700));
  EXPECT_TRUE(watching.metrics().hides_mappings);
}

TEST_F(ResourceMonitorTest, ATreeThatSharesNothingNeedNotBeReadToTheEnd) {
  for (pid_t pid = 101; pid <= 200; ++pid) {
    add(pid, megabytes(20));
    view_.processes[pid].mappings = {{.proportional = megabytes(20), .anonymous = megabytes(20)}};
  }
  EXPECT_EQ(monitor().sample(now_).memory, megabytes(2000));
  EXPECT_EQ(view_.exact_probes, 26);  // 520 MB are above the limit already
}

TEST_F(ResourceMonitorTest, OfManyProcessesIsReadWhatEachHasForItselfAlone) {
  constexpr os::AnonymousShare kShare{.resident = megabytes(60), .proportional = megabytes(54)};
  EXPECT_EQ(kShare.alone(), megabytes(48));
  for (pid_t pid = 101; pid <= 120; ++pid) {
    add(pid, kShare.resident);
    view_.processes[pid].share = kShare;
  }
  ResourceMonitor watching = monitor();
  // Eleven of them are above 500 MB. The others are taken to be like them.
  EXPECT_EQ(watching.sample(now_).memory, megabytes(20 * 48));
  EXPECT_EQ(view_.share_probes, 11);
  EXPECT_EQ(view_.exact_probes, 0);
}

TEST_F(ResourceMonitorTest, SharedPagesOfManyProcessesAreInNoneOfThemAlone) {
  for (pid_t pid = 101; pid <= 120; ++pid) {  // 100 MB that all map, and 30 MB of its own
    add(pid, megabytes(30), megabytes(100));
    view_.processes[pid].share = {.resident = megabytes(30), .proportional = megabytes(30)};
  }
  EXPECT_EQ(monitor().sample(now_).memory, megabytes(600));
}

/// What one gave up since the cheap look, and the next one took, was never there twice.
TEST_F(ResourceMonitorTest, WhatManyProcessesTookSinceTheCheapLookDoesNotCount) {
  for (pid_t pid = 101; pid <= 110; ++pid) {
    add(pid, megabytes(55));
    view_.processes[pid].share = {.resident = megabytes(110), .proportional = megabytes(110)};
    view_.processes[pid].mappings = {
        {.shared_memory = false, .proportional = megabytes(45), .anonymous = megabytes(55)}};
  }
  view_.processes[101].share = view_.processes[102].share = os::AnonymousShare{};
  ResourceMonitor watching = monitor();
  for (int look = 0; look < 3; ++look) {  // 440 MB: the next look may show more
    EXPECT_EQ(watching.sample(now_ + look * 2ms).memory, megabytes(500));
    EXPECT_EQ(view_.exact_probes, 0);
  }
  EXPECT_EQ(watching.sample(now_ + 6ms).memory, megabytes(450));
  EXPECT_EQ(view_.exact_probes, 10);
}

TEST_F(ResourceMonitorTest, ManyProcessesThatShareMostOfTheirMemoryAreMeasuredExactly) {
  for (pid_t pid = 101; pid <= 120; ++pid) {
    add(pid, megabytes(60));
    view_.processes[pid].share = {.resident = megabytes(60), .proportional = megabytes(10)};
    view_.processes[pid].mappings = {
        {.shared_memory = false, .proportional = megabytes(10), .anonymous = megabytes(60)}};
  }
  EXPECT_EQ(monitor().sample(now_).memory, megabytes(200));
}

TEST_F(ResourceMonitorTest, ASingleProcessOverTheLimitNeedsNoDearProbe) {
  add(101, megabytes(501));
  EXPECT_EQ(monitor().sample(now_).memory, megabytes(501));
  EXPECT_EQ(view_.exact_probes, 0);
}

TEST_F(ResourceMonitorTest, CountsAMappedMemfdOnceInTheExactProbe) {
  add(101, megabytes(5), megabytes(300));
  view_.processes[101].files = {{.file = {.device = 1, .inode = 9}, .allocated = megabytes(300)}};
  view_.processes[101].mappings = {
      {.file = {.device = 1, .inode = 9},
       .shared_memory = true,
       .proportional = megabytes(300),
       .anonymous = {}},
      {.shared_memory = false, .proportional = megabytes(5), .anonymous = {}},
      {.file = {.device = 8, .inode = 3},
       .shared_memory = false,
       .proportional = megabytes(40),
       .anonymous = {}}};
  EXPECT_EQ(monitor().sample(now_).memory, megabytes(305));
}

TEST_F(ResourceMonitorTest, ATableThatStaysUnreadableIsReported) {
  ResourceMonitor watching = monitor();
  add(101, megabytes(10));
  view_.processes[101].files = std::nullopt;
  EXPECT_FALSE(watching.sample(now_).descriptors_hidden);  // perhaps it is just in exec
  EXPECT_FALSE(watching.sample(now_ + 1s).descriptors_hidden);
  EXPECT_TRUE(watching.sample(now_ + 2s).descriptors_hidden);
}

TEST_F(ResourceMonitorTest, CountsTheSamplesThatMissedAPartOfTheTree) {
  ResourceMonitor watching = monitor();
  add(101, megabytes(10));
  (void)watching.sample(now_);
  EXPECT_EQ(watching.metrics().samples_in_part, 0);
  view_.blind = true;
  (void)watching.sample(now_ + 1s);
  EXPECT_EQ(watching.metrics().samples_in_part, 1);
}

TEST_F(ResourceMonitorTest, KeepsTheCpuTimeOfWhatHasEnded) {
  ResourceMonitor watching = monitor();
  add(101, megabytes(1));
  view_.processes[101].stat.cpu_seconds = 2;
  view_.init.reaped_cpu_seconds = 1;
  EXPECT_DOUBLE_EQ(watching.sample(now_).cpu_seconds, 3);
  view_.processes.clear();  // ended, not yet waited for
  EXPECT_DOUBLE_EQ(watching.sample(now_ + 1s).cpu_seconds, 3);
}

TEST_F(ResourceMonitorTest, AFileOfTheSameNumberOnAnotherDeviceIsNotTheWeights) {
  add(101, megabytes(5));
  view_.processes[101].files = {{.file = {.device = 2, .inode = 77}, .allocated = megabytes(90)},
                                {.file = {.device = 3, .inode = 77}, .allocated = megabytes(10)}};
  EXPECT_EQ(monitor().sample(now_).memory, megabytes(105));
}

TEST_F(ResourceMonitorTest, TheScratchCountsOnceAlsoWhereItIsMapped) {
  add(101, megabytes(5), megabytes(300));
  view_.scratch = megabytes(300);
  view_.processes[101].mappings = {{.file = {.device = 40, .inode = 2},
                                    .shared_memory = false,
                                    .proportional = megabytes(300),
                                    .anonymous = {}},
                                   {.proportional = megabytes(5), .anonymous = megabytes(5)}};
  ResourceMonitor watching = monitor();
  watching.watch_scratch({.fd = 7, .device = 40});
  EXPECT_EQ(watching.sample(now_).memory, megabytes(305));
  view_.scratch = megabytes(498);
  EXPECT_EQ(watching.sample(now_ + 1s).memory, megabytes(503));
}

TEST_F(ResourceMonitorTest, AddsUpIoAndKeepsWhatHasEnded) {
  ResourceMonitor watching = monitor();
  add(101, megabytes(1));
  EXPECT_FALSE(watching.sample(now_).io);  // nobody tells
  view_.processes[101].io = os::ProcessIo{.read = megabytes(3), .written = megabytes(4)};
  view_.init_io = os::ProcessIo{.read = megabytes(1), .written = {}};
  ASSERT_TRUE(watching.sample(now_ + 1s).io);
  EXPECT_EQ(watching.metrics().io->read, megabytes(4));
  EXPECT_EQ(watching.metrics().io->written, megabytes(4));
  view_.processes.clear();  // ended, not yet waited for
  (void)watching.sample(now_ + 2s);
  EXPECT_EQ(watching.metrics().io->written, megabytes(4));
}

TEST_F(ResourceMonitorTest, RemembersTheExtremes) {
  ResourceMonitor watching = monitor();
  EXPECT_FALSE(watching.metrics().peak_memory.has_value());
  add(101, megabytes(100));
  add(102, megabytes(100));
  (void)watching.sample(now_);
  view_.processes.erase(102);
  (void)watching.sample(now_ + 1s);
  os::GpuSampler nowhere({.nvidia = "/nonexistent", .drm = "/nonexistent"});
  watching.note_gpu(nowhere, now_);
  EXPECT_EQ(watching.metrics().peak_memory, megabytes(200));
  EXPECT_EQ(watching.metrics().max_processes, 2);
  EXPECT_EQ(watching.metrics().max_threads, 4);
  EXPECT_FALSE(watching.metrics().gpu.has_value());
}

/// What was filled after it could be anything, so that it must not count as seen.
TEST_F(ResourceMonitorTest, ASampleThatMissesADyingProcessDoesNotSayWhatWasSeen) {
  add(101, megabytes(30));
  add(102, megabytes(3));
  view_.processes[101].cpu_time = 20ms;
  view_.processes[102].cpu_time = 4ms;
  ResourceMonitor watching = monitor();
  (void)watching.sample(now_);
  EXPECT_DOUBLE_EQ(watching.metrics().cpu_seconds_seen, 0.025);  // with 1 ms of the init
  view_.processes[101].cpu_time = 90ms;
  view_.processes[101].memory = {};  // it is ending: its memory went first
  (void)watching.sample(now_ + 20ms);
  EXPECT_DOUBLE_EQ(watching.metrics().cpu_seconds_seen, 0.025);
}

/// What they did was before the sample; their parent's usage has it for ever.
TEST_F(ResourceMonitorTest, WhatEndedChildrenDidWasSeen) {
  add(101, megabytes(30));
  view_.processes[101].cpu_time = 20ms;
  view_.processes[101].stat.reaped_cpu_seconds = 0.5;
  view_.init.reaped_cpu_seconds = 0.25;
  ResourceMonitor watching = monitor();
  (void)watching.sample(now_);
  (void)watching.sample(now_ + 5ms);  // after the account of the first
  EXPECT_DOUBLE_EQ(watching.metrics().cpu_seconds_seen, 0.771);
}

}  // namespace
}  // namespace keisei::guard
