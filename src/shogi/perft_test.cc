#include "shogi/perft.h"

#include <gtest/gtest.h>

#include "shogi/test_support.h"

namespace keisei::shogi {
namespace {

constexpr std::uint64_t kMostNodes = 300'000'000;  // larger counts are for benches
constexpr std::uint64_t kQuickNodes = 1'000'000;

struct Count {
  std::string name;
  std::string sfen;
  int depth;
  std::uint64_t nodes;
};

std::ostream& operator<<(std::ostream& out, const Count& count) {
  return out << count.sfen << " d" << count.depth;
}

/// The counts of perft.tsv with more than `above` and up to `limit` nodes.
std::vector<Count> counts(std::uint64_t above, std::uint64_t limit) {
  std::vector<Count> found;
  for (const auto& row : read_table("perft.tsv")) {
    for (const std::string& entry : split(row.at(2), ',')) {
      const auto parts = split(entry, ':');
      const Count count = {row[0], row[1], std::stoi(parts.at(0)), std::stoull(parts.at(1))};
      if (count.nodes > above && count.nodes <= limit) {
        found.push_back(count);
      }
    }
  }
  return found;
}

std::string name_of(const testing::TestParamInfo<Count>& info) {
  return test_name(info.param.name) + "_depth_" + std::to_string(info.param.depth);
}

class Perft : public testing::TestWithParam<Count> {};

TEST_P(Perft, CountsLegalMoveSequences) {
  const Position position = position_of(GetParam().sfen);
  EXPECT_EQ(perft(position, GetParam().depth, PerftLeaves::Bulk), GetParam().nodes);
  EXPECT_EQ(perft(position, GetParam().depth, PerftLeaves::Played), GetParam().nodes);
}
INSTANTIATE_TEST_SUITE_P(Table, Perft, testing::ValuesIn(counts(0, kQuickNodes)), name_of);

class SlowPerft : public testing::TestWithParam<Count> {};

TEST_P(SlowPerft, CountsLegalMoveSequences) {
  const Position position = position_of(GetParam().sfen);
  EXPECT_EQ(perft(position, GetParam().depth, PerftLeaves::Bulk), GetParam().nodes);
}
INSTANTIATE_TEST_SUITE_P(Table, SlowPerft, testing::ValuesIn(counts(kQuickNodes, kMostNodes)),
                         name_of);

TEST(PerftDivide, AddsUpToTheWholeCount) {
  const auto branches = perft_divide(Position::start(), 3, PerftLeaves::Bulk);
  EXPECT_EQ(branches.size(), 30U);
  std::uint64_t nodes = 0;
  for (const PerftBranch& branch : branches) {
    nodes += branch.nodes;
  }
  EXPECT_EQ(nodes, 25470U);
}

TEST(PerftCount, IsOneAtDepthZero) {
  EXPECT_EQ(perft(Position::start(), 0, PerftLeaves::Bulk), 1U);
  EXPECT_EQ(perft(Position::start(), 0, PerftLeaves::Played), 1U);
}

}  // namespace
}  // namespace keisei::shogi
