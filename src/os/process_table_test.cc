#include "os/process_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "os/sleeper_fixture.h"

namespace keisei::os {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

struct Host {
  std::map<pid_t, pid_t> parents = {{1, 0}};
  std::optional<pid_t> newest = 1;
  int looks_through_all = 0;

  void start(pid_t pid, pid_t parent) {
    parents[pid] = parent;
    newest = pid;
  }
};

class FakeProcesses final : public ProcessSource {
 public:
  explicit FakeProcesses(Host& host) : host_(host) {}
  std::optional<pid_t> newest() override { return host_.newest; }
  std::vector<pid_t> all() override {
    ++host_.looks_through_all;
    std::vector<pid_t> ids;
    for (const auto& [pid, parent] : host_.parents) {
      ids.push_back(pid);
    }
    return ids;
  }
  std::optional<ProcessStat> stat(pid_t id) override {
    const auto found = host_.parents.find(id);
    if (found == host_.parents.end()) {
      return std::nullopt;
    }
    ProcessStat stat;
    stat.pid = id;
    stat.state = 'S';
    stat.parent = found->second;
    return stat;
  }
  bool is_thread(pid_t) override { return false; }

 private:
  Host& host_;
};

class ProcessTableOfAHost : public testing::Test {
 protected:
  Host host_;
  ProcessTable table_{std::make_unique<FakeProcesses>(host_)};
  MonotonicTime now_{10s};
};

TEST_F(ProcessTableOfAHost, NeedsNoLookThroughAllForARootThatWasJustStarted) {
  host_.start(100, 1);
  host_.start(101, 100);
  host_.start(102, 101);
  table_.watch(100);
  EXPECT_THAT(table_.descendants(100, now_), ElementsAre(101, 102));
  host_.start(103, 1);
  host_.start(104, 100);
  EXPECT_THAT(table_.descendants(100, now_ + 20ms), ElementsAre(101, 102, 104));
  EXPECT_EQ(host_.looks_through_all, 0);
}

TEST_F(ProcessTableOfAHost, LooksThroughAllWhereMoreIdsWereGivenOutThanAreWorthALookEach) {
  host_.start(100, 1);
  host_.start(101, 100);
  host_.start(300, 1);
  table_.watch(100);
  EXPECT_THAT(table_.descendants(100, now_), ElementsAre(101));
  EXPECT_EQ(host_.looks_through_all, 1);
}

TEST_F(ProcessTableOfAHost, SeesWhatAnotherRunsLookSawBeforeItsRootWasWatched) {
  host_.start(100, 1);
  table_.watch(100);
  host_.start(200, 1);
  host_.start(201, 200);
  EXPECT_THAT(table_.descendants(100, now_), IsEmpty());
  table_.watch(200);
  EXPECT_THAT(table_.descendants(200, now_), ElementsAre(201));
}

TEST_F(ProcessTableOfAHost, SeesThatWhereTheIdsHaveWrappedRoundMeanwhileToo) {
  host_.start(32'700, 1);
  table_.watch(32'700);
  host_.start(32'765, 1);
  host_.start(300, 32'765);
  EXPECT_THAT(table_.descendants(32'700, now_), IsEmpty());
  table_.watch(32'765);
  EXPECT_THAT(table_.descendants(32'765, now_), ElementsAre(300));
}

TEST_F(ProcessTableOfAHost, SeesWhatIsBelowAFirstRootAfterTheIdsHaveWrappedRound) {
  host_.start(32'765, 1);
  host_.start(300, 32'765);
  table_.watch(32'765);
  EXPECT_THAT(table_.descendants(32'765, now_), ElementsAre(300));
}

TEST_F(ProcessTableOfAHost, SeesWhatIsBornWhenTheIdsWrapRound) {
  host_.start(32'700, 1);
  table_.watch(32'700);
  EXPECT_THAT(table_.descendants(32'700, now_), IsEmpty());
  host_.start(300, 32'700);
  EXPECT_THAT(table_.descendants(32'700, now_ + 20ms), ElementsAre(300));
}

TEST_F(ProcessTableOfAHost, RemembersThatItOwesALookWhenAnotherRootIsWatched) {
  host_.start(32'765, 1);
  host_.start(300, 32'765);
  host_.start(301, 1);
  table_.watch(32'765);
  table_.watch(301);
  EXPECT_FALSE(table_.complete(now_));
  EXPECT_THAT(table_.descendants(32'765, now_), ElementsAre(300));
}

TEST_F(ProcessTableOfAHost, SeesAStrangerThatIsBelowARootByNow) {
  host_.start(100, 1);
  host_.start(200, 1);
  host_.start(201, 200);
  host_.newest = 1000;  // too many to be looked at one by one
  table_.watch(100);
  EXPECT_THAT(table_.descendants(100, now_), IsEmpty());
  table_.watch(200);
  EXPECT_THAT(table_.descendants(200, now_ + 20ms), ElementsAre(201));
}

TEST_F(ProcessTableOfAHost, TakesNoOneForAStrangerWhoHasHisIdAfterTheIdsHaveWrappedRound) {
  host_.start(200, 1);
  host_.start(32'700, 1);
  table_.watch(32'700);
  EXPECT_THAT(table_.descendants(32'700, now_), IsEmpty());
  EXPECT_THAT(table_.descendants(32'700, now_ + 500ms), IsEmpty());  // 200 is a stranger
  host_.parents[200] = 32'700;
  host_.newest = 400;
  EXPECT_THAT(table_.descendants(32'700, now_ + 520ms), ElementsAre(200));
}

TEST_F(ProcessTableOfAHost, IsNotCompleteWhileANewIdIsNobodysNorWhenALookIsDue) {
  host_.start(100, 1);
  table_.watch(100);
  host_.newest = 101;  // given out, and not there yet
  EXPECT_THAT(table_.descendants(100, now_), IsEmpty());
  EXPECT_FALSE(table_.complete(now_));
  host_.start(101, 100);
  EXPECT_THAT(table_.descendants(100, now_ + 5ms), ElementsAre(101));
  EXPECT_TRUE(table_.complete(now_ + 499ms));
  EXPECT_FALSE(table_.complete(now_ + 500ms));
}

/// Its id moved nothing, as with clone3 and set_tid, or it was there too late for the looks at it.
TEST_F(ProcessTableOfAHost, FindsWithinHalfASecondWhomNoNewIdTellsOf) {
  host_.start(100, 1);
  host_.start(101, 100);
  table_.watch(100);
  EXPECT_THAT(table_.descendants(100, now_), ElementsAre(101));
  host_.parents[90] = 101;
  EXPECT_THAT(table_.descendants(100, now_ + 480ms), ElementsAre(101));
  EXPECT_THAT(table_.descendants(100, now_ + 500ms), ElementsAre(101, 90));
  host_.parents[91] = 101;
  EXPECT_THAT(table_.descendants(100, now_ + 980ms), ElementsAre(101, 90));
  EXPECT_THAT(table_.descendants(100, now_ + 1000ms), ElementsAre(101, 90, 91));
}

TEST_F(ProcessTableOfAHost, LooksThroughAllAfterALookInWhichNobodyToldTheNewestId) {
  host_.start(100, 1);
  table_.watch(100);
  host_.newest.reset();
  EXPECT_THAT(table_.descendants(100, now_), IsEmpty());
  host_.start(101, 100);
  host_.start(200, 1);
  table_.watch(200);
  EXPECT_THAT(table_.descendants(100, now_ + 20ms), ElementsAre(101));
}

TEST_F(ProcessTableOfAHost, LooksThroughAllEachTimeWhereNobodyTellsTheNewestId) {
  host_.start(100, 1);
  host_.start(101, 100);
  host_.newest.reset();
  table_.watch(100);
  EXPECT_THAT(table_.descendants(100, now_), ElementsAre(101));
  host_.parents[102] = 100;
  EXPECT_THAT(table_.descendants(100, now_ + 20ms), ElementsAre(101, 102));
}

TEST(ProcessTable, SeesWhatIsBornBelowEachRootAndNotTheirThreads) {
  const auto contains = [](const std::vector<pid_t>& pids, pid_t pid) {
    return std::ranges::count(pids, pid) == 1;
  };
  ProcessTable table;
  table.watch(getpid());
  table.watch(getppid());
  const MonotonicTime now = MonotonicClock::now();
  (void)table.descendants(getpid(), now);
  Sleeper first;
  Sleeper second;
  std::atomic<pid_t> thread_id = 0;
  std::jthread thread([&](const std::stop_token& stop) {
    thread_id = gettid();
    while (!stop.stop_requested()) {
      std::this_thread::yield();
    }
  });
  while (thread_id == 0) {
    std::this_thread::yield();
  }
  const std::vector<pid_t> mine = table.descendants(getpid(), now);
  EXPECT_TRUE(contains(mine, first.pid()));
  EXPECT_TRUE(contains(mine, second.pid()));
  EXPECT_FALSE(contains(mine, thread_id));
  EXPECT_FALSE(contains(table.descendants(getppid(), now), first.pid()));  // a nearer root has it
  const pid_t ended = first.pid();
  first.end();
  table.drop(ended);
  EXPECT_FALSE(contains(table.descendants(getpid(), now), ended));
  EXPECT_TRUE(contains(table.descendants(getpid(), now), second.pid()));
}

/// Of a root that was not just started, ids that were looked at before may be its processes'.
TEST(ProcessTable, SeesWhatWasBornBelowARootBeforeThatWasWatched) {
  Sleeper below;
  Sleeper other;
  ProcessTable table;
  const MonotonicTime now = MonotonicClock::now();
  table.watch(other.pid());
  Sleeper newest;
  (void)table.descendants(other.pid(), now);
  table.watch(getpid());
  EXPECT_THAT(table.descendants(getpid(), now), testing::Contains(below.pid()));
}

}  // namespace
}  // namespace keisei::os
