#include "train/workers.h"

#include <gtest/gtest.h>

namespace keisei::train {
namespace {

TEST(Workers, EachItemIsDoneOnceInEveryRound) {
  std::atomic<int> entered = 0;
  Workers workers(3, [&entered] { ++entered; });
  EXPECT_EQ(workers.count(), 3);
  std::vector<std::atomic<int>> done(100);
  for (int round = 0; round < 200; ++round) {
    EXPECT_TRUE(
        workers.run(static_cast<int>(done.size()), [&done](int worker, int item) -> Result<void> {
          EXPECT_TRUE(worker >= 0 && worker < 3);
          ++done[static_cast<std::size_t>(item)];
          return {};
        }));
  }
  EXPECT_EQ(entered, 2);
  for (const std::atomic<int>& count : done) {
    EXPECT_EQ(count, 200);
  }
}

TEST(Workers, OneWorkerIsTheCallingThread) {
  Workers workers(1, [] { FAIL() << "no thread was asked for"; });
  const std::thread::id self = std::this_thread::get_id();
  int items = 0;
  EXPECT_TRUE(workers.run(5, [&](int worker, int) -> Result<void> {
    EXPECT_EQ(worker, 0);
    EXPECT_EQ(std::this_thread::get_id(), self);
    ++items;
    return {};
  }));
  EXPECT_EQ(items, 5);
}

TEST(Workers, NothingToDoIsDone) {
  Workers workers(2, [] {});
  EXPECT_TRUE(
      workers.run(0, [](int, int) -> Result<void> { return fail("no item was asked for"); }));
}

TEST(Workers, AFailureReachesTheCallerAndTheNextRoundIsClean) {
  for (const int count : {1, 3}) {
    Workers workers(count, [] {});
    const auto run = [&workers](int bad) {
      return workers.run(50, [bad](int, int item) -> Result<void> {
        return item == bad ? fail("item {} failed", item) : Result<void>();
      });
    };
    const Result<void> done = run(7);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().message, "item 7 failed");
    EXPECT_TRUE(run(-1));
  }
}

}  // namespace
}  // namespace keisei::train
