#include "guard/tree_sums.h"

#include <gtest/gtest.h>

#include "guard/resource_monitor_fixture.h"

namespace keisei::guard {
namespace {

constexpr os::FileId kMemfd{.device = 1, .inode = 9};
constexpr Bytes kLimit = megabytes(100);

class TreeSums : public testing::Test {
 protected:
  void map(pid_t pid, os::FileId file, bool shared_memory, Bytes proportional, Bytes anonymous) {
    view_.processes[pid].mappings.push_back({.file = file,
                                             .shared_memory = shared_memory,
                                             .proportional = proportional,
                                             .anonymous = anonymous,
                                             .resident = proportional});
  }
  ExactSum exactly(const MembersBySize& members, Bytes cheap) {
    return sum_exactly(view_, members,
                       {.limit = kLimit,
                        .cheap = cheap,
                        .scratch = Scratch{.fd = -1, .device = 40},
                        .scratch_used = megabytes(3),
                        .handed_in = handed_in_,
                        .open = open_,
                        .unopened = {}});
  }

  FakeView view_;
  std::set<os::FileId> handed_in_ = {kWeights};
  std::vector<os::MemoryFile> open_;
};

TEST_F(TreeSums, CountOfFilesAndOfWhatWasHandedInOnlyWhatWasCopied) {
  map(101, {}, false, megabytes(10), megabytes(10));
  map(101, {.device = 8, .inode = 3}, false, megabytes(40), megabytes(1));
  map(101, kWeights, true, megabytes(50), megabytes(2));
  map(101, {.device = 40, .inode = 5}, true, megabytes(3), {});  // the scratch, counted as a whole
  EXPECT_EQ(exactly({{megabytes(60), 101}}, megabytes(120)).sum, megabytes(10 + 1 + 2 + 3));
}

TEST_F(TreeSums, CountOfAMemfdWhatIsMappedOnceAndTheRestToo) {
  open_ = {{.file = kMemfd, .allocated = megabytes(30)}};
  map(101, kMemfd, true, megabytes(10), {});
  map(102, kMemfd, true, megabytes(10), {});
  const ExactSum sum = exactly({{megabytes(20), 101}, {megabytes(20), 102}}, megabytes(120));
  EXPECT_EQ(sum.sum, megabytes(30 + 3));
  EXPECT_FALSE(sum.sure);
}

TEST_F(TreeSums, TakeWhoHidesHisMappingsForOneWhoSharesNothing) {
  view_.processes[101].hides_mappings = true;
  const ExactSum sum = exactly({{megabytes(20), 101}}, megabytes(120));
  EXPECT_EQ(sum.sum, megabytes(20 + 3));
  EXPECT_TRUE(sum.mappings_hidden);
}

TEST_F(TreeSums, AreSureBeforeTheEndWhereHardlyAPageIsShared) {
  map(101, {}, false, megabytes(120), megabytes(120));
  const ExactSum sure = exactly({{megabytes(120), 101}, {megabytes(10), 102}}, megabytes(133));
  EXPECT_EQ(sure.sum, megabytes(133));
  EXPECT_TRUE(sure.sure);
  EXPECT_EQ(view_.exact_probes, 1);
  EXPECT_FALSE(exactly({{megabytes(140), 101}}, megabytes(143)).sure);  // 86 %
}

TEST_F(TreeSums, OfWhatIsAloneStopAboveTheLimitAndTakeTheRestToShareAsMuch) {
  MembersBySize members;
  for (pid_t pid = 101; pid <= 110; ++pid) {
    members.emplace_back(megabytes(40), pid);
    view_.processes[pid].share =
        os::AnonymousShare{.resident = megabytes(40), .proportional = megabytes(35)};
  }
  const AloneSum alone = sum_alone(view_, members, kLimit);
  const Bytes each = view_.processes[101].share->alone();
  ASSERT_GT(each, Bytes{});
  ASSERT_LT(each, megabytes(40));
  EXPECT_TRUE(alone.above);
  EXPECT_EQ(view_.share_probes, kLimit.count / each.count + 1);
  EXPECT_EQ(alone.of_those_read.count, view_.share_probes * each.count);
  EXPECT_NEAR(static_cast<double>(alone.extrapolated.count), static_cast<double>(each.count) * 10,
              10);
  EXPECT_FALSE(sum_alone(view_, members, megabytes(400)).above);
}

}  // namespace
}  // namespace keisei::guard
