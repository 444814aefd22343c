// When a resource monitor has its tree stopped while it counts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guard/resource_monitor.h"
#include "guard/resource_monitor_fixture.h"

namespace keisei::guard {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class StopToCount : public ResourceMonitorTest {
 protected:
  void add_many(Bytes each, int processes = 20) {
    for (pid_t pid = 101; pid <= 100 + processes; ++pid) {
      add(pid, each);
    }
  }
  /// Of 60 MB each, of which 50 are everybody's.
  void add_sharers() {
    add_many(megabytes(60));
    for (auto& [pid, process] : view_.processes) {
      process.mappings = {
          {.shared_memory = false, .proportional = megabytes(10), .anonymous = megabytes(60)}};
    }
  }
};

TEST_F(StopToCount, ManyProcessesStandStillFromBeforeTheDearReadsUntilAfterThem) {
  add_sharers();
  ResourceMonitor watching = monitor();
  EXPECT_EQ(watching.sample(now_).memory, megabytes(200));
  EXPECT_THAT(stops_, ElementsAre(0));
  EXPECT_THAT(goings_on_, ElementsAre(view_.dear_reads()));
  EXPECT_EQ(view_.exact_probes, 20);
}

TEST_F(StopToCount, WhoHasItsSizeIsNotStoppedAgain) {
  add_sharers();
  ResourceMonitor watching = monitor();
  (void)watching.sample(now_);
  add(101, megabytes(61));           // it breathes
  (void)watching.sample(now_ + 1s);  // measured again, for a page may have been copied
  EXPECT_EQ(view_.exact_probes, 40);
  EXPECT_EQ(stops_.size(), 1U);
}

TEST_F(StopToCount, WhoIsAboveTheLimitIsNotToldToGoOn) {
  add_many(megabytes(60));
  for (auto& [pid, process] : view_.processes) {
    process.share = {.resident = megabytes(60), .proportional = megabytes(60)};
  }
  EXPECT_GT(monitor().sample(now_).memory, megabytes(500));
  EXPECT_THAT(stops_, ElementsAre(0));
  EXPECT_THAT(goings_on_, IsEmpty());
}

TEST_F(StopToCount, WhoWasNotStoppedIsNotToldToGoOn) {
  stops_allowed_ = false;
  add_sharers();
  (void)monitor().sample(now_);
  EXPECT_EQ(stops_.size(), 1U);
  EXPECT_THAT(goings_on_, IsEmpty());
}

TEST_F(StopToCount, WhoGrowsStandsStillForTheDescriptorTablesToo) {
  add_many(Bytes{100'000});
  ResourceMonitor watching = monitor();
  (void)watching.sample(now_);
  EXPECT_THAT(stops_, IsEmpty());  // 2 MB
  add_many(megabytes(21));
  (void)watching.sample(now_ + 1ms);  // the tables are not due
  EXPECT_THAT(stops_, IsEmpty());
  add_many(megabytes(22));
  (void)watching.sample(now_ + 1s);
  EXPECT_EQ(stops_.size(), 1U);
  EXPECT_EQ(goings_on_.size(), 1U);
  (void)watching.sample(now_ + 2s);
  EXPECT_EQ(stops_.size(), 1U);  // it grows no more
}

TEST_F(StopToCount, WhoIsFarFromItsLimitIsReadWhileItRuns) {
  add_many(megabytes(1));
  ResourceMonitor watching = monitor(megabytes(3000));
  (void)watching.sample(now_);
  add_many(megabytes(100));
  (void)watching.sample(now_ + 1s);
  EXPECT_THAT(stops_, IsEmpty());
  add_many(megabytes(130));
  (void)watching.sample(now_ + 2s);
  EXPECT_EQ(stops_.size(), 1U);
}

TEST_F(StopToCount, FewProcessesAreCountedWhileTheyRunUnlessTheyHaveManyThreads) {
  add_many(megabytes(300), 2);
  (void)monitor().sample(now_);
  EXPECT_THAT(stops_, IsEmpty());
  ResourceMonitor watching = monitor();
  add_many(megabytes(10), 2);
  view_.processes[101].stat.threads = 15;
  (void)watching.sample(now_);
  add_many(megabytes(300), 2);
  (void)watching.sample(now_ + 1s);
  EXPECT_EQ(stops_.size(), 1U);
}

TEST_F(StopToCount, TheWeightsThatManyWorkersMapAreNoGrowth) {
  for (pid_t pid = 101; pid <= 110; ++pid) {
    add(pid, megabytes(1), megabytes(90));
    view_.processes[pid].mappings = {weights(megabytes(90))};
  }
  ResourceMonitor watching = monitor();
  for (int look = 0; look < 4; ++look) {
    EXPECT_EQ(watching.sample(now_ + look * 300ms).memory, megabytes(10));
  }
  EXPECT_LE(stops_.size(), 1U);  // before it was known what they map
}

TEST_F(StopToCount, WhoseMemoryACgroupHoldsIsNotStopped) {
  ResourceMonitor watching(view_, {.root = kInit,
                                   .memory_limit = megabytes(500),
                                   .kernel_holds_memory = true,
                                   .stop_to_count =
                                       [this] {
                                         stops_.push_back(0);
                                         return true;
                                       },
                                   .go_on = [] {}});
  add_sharers();
  (void)watching.sample(now_);
  EXPECT_THAT(stops_, IsEmpty());
}

}  // namespace
}  // namespace keisei::guard
