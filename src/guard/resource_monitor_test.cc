#include "guard/resource_monitor.h"

#include <gtest/gtest.h>

#include <map>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr pid_t kInit = 100;
constexpr os::FileId kWeights{.device = 1, .inode = 77};

class FakeView : public os::ProcessView {
 public:
  struct Process {
    os::ProcessMemory memory;
    os::ProcessStat stat;
    std::optional<std::vector<os::MemoryFile>> files = std::vector<os::MemoryFile>{};
    std::vector<os::MappedFile> mapped = {};
    std::vector<os::Mapping> mappings;
    std::optional<os::ProcessIo> io = std::nullopt;
    std::chrono::nanoseconds cpu_time{0};
  };
  std::map<pid_t, Process> processes;
  os::ProcessStat init;
  std::optional<os::ProcessIo> init_io;
  Bytes scratch;
  std::optional<Bytes> host = std::nullopt;
  bool blind = false;
  bool all_activity_shows = true;
  int memory_reads = 0;
  int descriptor_scans = 0;
  int exact_probes = 0;

  std::vector<pid_t> descendants(pid_t) override {
    std::vector<pid_t> pids;
    for (const auto& [pid, process] : processes) {
      pids.push_back(pid);
    }
    return pids;
  }
  std::optional<os::ProcessStat> stat(pid_t pid) override {
    return pid == kInit ? init : processes.at(pid).stat;
  }
  std::chrono::nanoseconds cpu_time(pid_t pid) override {
    const auto process = processes.find(pid);
    return pid == kInit ? 1ms : process == processes.end() ? 0ns : process->second.cpu_time;
  }
  bool shows_all_activity() override { return all_activity_shows; }
  std::optional<os::ProcessMemory> memory(pid_t pid) override {
    ++memory_reads;
    return processes.at(pid).memory;
  }
  std::optional<std::vector<os::MemoryFile>> memory_files(pid_t pid) override {
    ++descriptor_scans;
    return processes.at(pid).files;
  }
  std::optional<os::ProcessIo> io(pid_t pid) override {
    return pid == kInit ? init_io : processes.at(pid).io;
  }
  std::vector<os::MappedFile> mapped_files(pid_t pid, MonotonicTime) override {
    return processes.at(pid).mapped;
  }
  std::optional<Bytes> shared_memory_of_host() override { return host; }
  bool out_of_descriptors() override { return blind; }
  Bytes used_of_file_system(int) override { return scratch; }
  std::vector<os::Mapping> mappings(pid_t pid) override {
    ++exact_probes;
    return processes.at(pid).mappings;
  }
};

class ResourceMonitorTest : public testing::Test {
 protected:
  ResourceMonitor monitor() {
    return {view_,
            {.root = kInit,
             .memory_limit = megabytes(500),
             .worker = true,
             .shared_files = {kWeights}}};
  }
  void add(pid_t pid, Bytes anonymous, Bytes shared = {}) {
    view_.processes[pid].memory = {.anonymous = anonymous, .shared = shared};
    view_.processes[pid].stat.threads = 2;
  }

  static os::Mapping weights(Bytes resident) {
    return {.file = kWeights,
            .shared_memory = true,
            .proportional = resident,
            .anonymous = {},
            .resident = resident};
  }

  FakeView view_;
  MonotonicTime now_{1s};
};

TEST_F(ResourceMonitorTest, SumsTheWholeTree) {
  add(101, megabytes(5));
  add(102, megabytes(300), megabytes(20));
  ResourceMonitor watching = monitor();
  const ResourceSample sample = watching.sample(now_);
  EXPECT_EQ(sample.memory, megabytes(325));
  EXPECT_EQ(sample.processes, 2);
  EXPECT_EQ(sample.threads, 4);
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

TEST_F(ResourceMonitorTest, ReadsTheMemoryOfAStillTreeAllTheSameFourTimesASecond) {
  add(101, megabytes(5));
  view_.processes[101].cpu_time = 5ms;
  ResourceMonitor watching = monitor();
  (void)watching.sample(now_);
  (void)watching.sample(now_ + 20ms);
  view_.processes[101].memory.anonymous = megabytes(9);
  EXPECT_EQ(watching.sample(now_ + 269ms).memory, megabytes(5));
  EXPECT_EQ(watching.sample(now_ + 270ms).memory, megabytes(9));
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

TEST_F(ResourceMonitorTest, ATreeThatSharesNothingNeedNotBeReadToTheEnd) {
  for (pid_t pid = 101; pid <= 200; ++pid) {
    add(pid, megabytes(20));
    view_.processes[pid].mappings = {{.proportional = megabytes(20), .anonymous = megabytes(20)}};
  }
  EXPECT_EQ(monitor().sample(now_).memory, megabytes(2000));
  EXPECT_EQ(view_.exact_probes, 26);  // 520 MB are above the limit already
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

TEST_F(ResourceMonitorTest, SeesMappedFilesThatNoPageTableShowsAndCountsEachOnce) {
  add(101, megabytes(5), megabytes(20));  // 20 MB of the file are in its page table
  add(102, megabytes(5));
  view_.processes[101].mapped = {{.file = {.device = 1, .inode = 9}, .allocated = megabytes(300)},
                                 {.file = kWeights, .allocated = megabytes(90)}};
  view_.processes[102].mapped = view_.processes[101].mapped;
  EXPECT_EQ(monitor().sample(now_).memory, megabytes(310));
}

TEST_F(ResourceMonitorTest, AMappedFileThatIsOpenToBeSeenCountsOnce) {
  add(101, megabytes(5));
  view_.processes[101].files = {{.file = {.device = 1, .inode = 9}, .allocated = megabytes(300)}};
  view_.processes[101].mapped = {{.file = {.device = 1, .inode = 9}, .allocated = megabytes(300)}};
  EXPECT_EQ(monitor().sample(now_).memory, megabytes(305));
}

TEST_F(ResourceMonitorTest, AddsWhatIsHiddenToWhatThePageTablesShowInTheExactProbe) {
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

TEST_F(ResourceMonitorTest, WhatNobodyCanMeasureIsBoundedByTheGrowthOfTheHost) {
  add(101, megabytes(50));
  view_.host = megabytes(4000);
  ResourceMonitor watching = monitor();
  (void)watching.sample(now_);
  view_.host = megabytes(3900);  // somebody else gave some back
  (void)watching.sample(now_ + 3s);
  view_.processes[101].mapped = {{.file = {.device = 1, .inode = 9}, .allocated = std::nullopt}};
  view_.host = megabytes(4340);
  EXPECT_EQ(watching.sample(now_ + 4s).memory, megabytes(50));  // it may have come between
  EXPECT_EQ(watching.sample(now_ + 5s).memory, megabytes(50));  // 490 MB: it need not be its own
  view_.host = megabytes(4360);
  EXPECT_EQ(watching.sample(now_ + 6s).memory, megabytes(510));
  view_.processes[101].mapped.clear();
  EXPECT_EQ(watching.sample(now_ + 7s).memory, megabytes(50));
}

TEST_F(ResourceMonitorTest, ACommandIsNotJudgedByABound) {
  add(101, megabytes(50));
  view_.processes[101].mapped = {{.file = {.device = 1, .inode = 9}, .allocated = std::nullopt}};
  view_.host = megabytes(1000);
  ResourceMonitor watching(view_, {.root = kInit, .memory_limit = megabytes(500)});
  (void)watching.sample(now_);
  view_.host = megabytes(9000);
  (void)watching.sample(now_ + 1s);
  EXPECT_EQ(watching.sample(now_ + 2s).memory, megabytes(50));
}

TEST_F(ResourceMonitorTest, WhereTheKernelHoldsTheMemoryNobodyLooksForWhatIsHidden) {
  add(101, megabytes(50));
  view_.processes[101].mapped = {{.file = {.device = 1, .inode = 9}, .allocated = megabytes(600)}};
  ResourceMonitor watching(
      view_, {.root = kInit, .memory_limit = megabytes(500), .kernel_holds_memory = true});
  EXPECT_EQ(watching.sample(now_).memory, megabytes(50));
}

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

TEST_F(ResourceMonitorTest, ReadsDescriptorTablesAtALowerRate) {
  ResourceMonitor watching = monitor();
  add(101, megabytes(10));
  for (int i = 0; i < 10; ++i) {
    (void)watching.sample(now_ + i * 20ms);
  }
  EXPECT_EQ(view_.descriptor_scans, 2);  // at 0 and 100 ms: every 82 ms
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
