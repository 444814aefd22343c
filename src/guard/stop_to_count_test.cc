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
  (void)watch(watching, now_ + 10ms, now_ + 500ms);
  const int probes = view_.exact_probes;
  const std::size_t stops = stops_.size();
  add(101, megabytes(61));           // it breathes
  (void)watching.sample(now_ + 1s);  // measured again, for a page may have been copied
  EXPECT_EQ(view_.exact_probes, probes + 20);
  EXPECT_EQ(stops_.size(), stops);
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
  EXPECT_EQ(leases_.size(), 1U);  // but it goes on with its guard only
  add_many(megabytes(22));
  (void)watching.sample(now_ + 1s);
  EXPECT_EQ(stops_.size(), 1U);
  EXPECT_EQ(goings_on_.size(), 2U);
  (void)watch(watching, now_ + 1010ms, now_ + 2s);
  const std::size_t stops = stops_.size();
  (void)watching.sample(now_ + 3s);
  EXPECT_EQ(stops_.size(), stops);  // it grows no more
}

/// Nearer to its limit the looks follow each other so closely that little is new at each.
TEST_F(StopToCount, WhoGrewAMomentAgoIsNotReadWhileItRuns) {
  ResourceMonitor watching = monitor();
  add_many(Bytes{100'000});
  (void)watching.sample(now_);
  for (int look = 1; look <= 5; ++look) {
    add_many(Bytes{100'000 + look * 100'000});  // 2 MB at each of them
    (void)watching.sample(now_ + look * 2ms);
  }
  EXPECT_THAT(stops_, IsEmpty());  // the tables are not due
  add_many(megabytes(24));
  (void)watching.sample(now_ + 120ms);
  add_many(Bytes{24'050'000});
  (void)watching.sample(now_ + 170ms);
  EXPECT_EQ(stops_.size(), 2U);
  (void)watch(watching, now_ + 180ms, now_ + 600ms);
  const std::size_t stops = stops_.size();
  (void)watch(watching, now_ + 610ms, now_ + 1s);
  EXPECT_EQ(stops_.size(), stops);
}

TEST_F(StopToCount, WhoGrowsLittleByLittleGrows) {
  ResourceMonitor watching = monitor();
  for (int look = 0; look < 10; ++look) {
    add_many(Bytes{20'000'000 + look * 200'000});  // 4 MB at each
    (void)watching.sample(now_ + look * 20ms);
  }
  EXPECT_GE(stops_.size(), 4U);
}

TEST_F(StopToCount, WhoGrowsGoesOnUntilTheNextLookIsDueAndForGoodWhenItHasItsSize) {
  ResourceMonitor watching = monitor();
  add_many(Bytes{100'000});
  (void)watching.sample(now_);
  add_many(megabytes(22));
  (void)watching.sample(now_ + 100ms);
  EXPECT_THAT(leases_, ElementsAre(testing::Ge(10ms)));  // 60 MB at 6 GB/s
  EXPECT_LE(leases_.back(), 11ms);
  (void)watching.sample(now_ + 110ms);
  EXPECT_EQ(leases_.size(), 2U);
  EXPECT_EQ(leases_.back(), leases_.front());
  for (pid_t pid = 101; pid <= 120; ++pid) {  // at rest
    view_.processes[pid].cpu_time = 1s;
  }
  (void)watch(watching, now_ + 120ms, now_ + 500ms);
  EXPECT_EQ(leases_.back(), 0ns);
  const std::size_t told = leases_.size();
  (void)watching.sample(now_ + 1s);
  EXPECT_EQ(leases_.size(), told);
}

/// Who is on a lease is looked at when it ends, however far from its limit it was found.
TEST_F(StopToCount, WhoHasNotGrownHasNoLongerLeaseThanTheNextLookIsAway) {
  const auto share = [this](Bytes each) {  // nearly all of it is everybody's
    add_many(each);
    for (auto& [pid, process] : view_.processes) {
      process.mappings = {
          {.shared_memory = false, .proportional = megabytes(5), .anonymous = each}};
    }
  };
  share(Bytes{24'950'000});  // 499 MB, if each page is counted as often as it is mapped
  ResourceMonitor watching = monitor();
  (void)watch(watching, now_, now_ + 600ms);
  ASSERT_EQ(leases_.back(), 0ns);
  leases_.clear();
  share(Bytes{25'050'000});  // less than a breath more
  EXPECT_EQ(watching.sample(now_ + 602ms).memory, megabytes(100));
  EXPECT_EQ(watching.next_interval(), 20ms);
  EXPECT_THAT(leases_, ElementsAre(21ms));
}

/// It may have been stopped at the end of its lease, and is told by nobody else.
TEST_F(StopToCount, WhoHasDoneNothingOnItsLeaseIsLetGoOnToo) {
  ResourceMonitor watching = monitor(megabytes(600));
  for (pid_t pid = 101; pid <= 120; ++pid) {
    add(pid, Bytes{100'000});
    view_.processes[pid].cpu_time = 1s;
  }
  (void)watching.sample(now_);
  add_many(megabytes(20));
  (void)watching.sample(now_ + 100ms);
  ASSERT_EQ(leases_.size(), 1U);
  (void)watching.sample(now_ + 120ms);  // nobody has used a processor
  EXPECT_TRUE(watching.still());
  EXPECT_EQ(leases_.size(), 2U);
  EXPECT_EQ(leases_.back(), 21ms);
}

TEST_F(StopToCount, WhoIsFarFromItsLimitIsReadWhileItRuns) {
  add_many(megabytes(1));
  ResourceMonitor watching = monitor(megabytes(3000));
  (void)watching.sample(now_);
  add_many(megabytes(100));
  (void)watching.sample(now_ + 1s);
  EXPECT_THAT(stops_, IsEmpty());
  add_many(megabytes(135));
  (void)watching.sample(now_ + 2s);  // 300 MB below: less than forty threads take in 3 ms each
  EXPECT_EQ(stops_.size(), 1U);
}

/// A guard that gets no processor for longer than growth is remembered.
TEST_F(StopToCount, WhoStoodStillWithoutItsGuardHasNotCeasedToGrow) {
  ResourceMonitor watching = monitor();
  add_many(Bytes{100'000});
  (void)watching.sample(now_);
  add_many(megabytes(22));
  (void)watching.sample(now_ + 100ms);
  ASSERT_EQ(leases_.size(), 1U);
  (void)watching.sample(now_ + 600ms);
  EXPECT_EQ(leases_.size(), 2U);
  EXPECT_GT(leases_.back(), 0ns);
  (void)watching.sample(now_ + 610ms);
  EXPECT_GT(leases_.back(), 0ns);
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
                                   .go_on = [](std::chrono::nanoseconds) {}});
  add_sharers();
  (void)watching.sample(now_);
  EXPECT_THAT(stops_, IsEmpty());
}

}  // namespace
}  // namespace keisei::guard
