#include "base/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace keisei {
namespace {

// Known-answer vectors published with the algorithm (Random123, kat_vectors).
TEST(Philox, MatchesThePublishedVectors) {
  EXPECT_EQ(philox(0, {0, 0, 0, 0}),
            (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox(~std::uint64_t{0}, {~0U, ~0U, ~0U, ~0U}),
            (std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Rng, ResumesAtAnyPosition) {
  Rng whole(7, 3);
  std::vector<std::uint64_t> draws(9);
  for (auto& draw : draws) {
    draw = whole();
  }
  for (std::uint64_t position = 0; position < draws.size(); ++position) {
    Rng resumed(7, 3);
    resumed.seek(position);
    EXPECT_EQ(resumed.position(), position);
    EXPECT_EQ(resumed(), draws[position]) << position;
  }
}

TEST(Rng, StreamsDiffer) { EXPECT_NE(Rng(7, 0)(), Rng(7, 1)()); }

TEST(Rng, NoTwoPurposesShareAStream) {
  constexpr std::uint64_t kLargest = (std::uint64_t{1} << 56) - 1;
  std::vector<std::uint64_t> streams;
  for (const Purpose purpose :
       {Purpose::Weights, Purpose::SelfPlay, Purpose::Shuffle, Purpose::Game, Purpose::Opening}) {
    // In order and at both ends of each: hence disjoint throughout.
    streams.push_back(stream_of(purpose, 0));
    streams.push_back(stream_of(purpose, kLargest));
  }
  EXPECT_TRUE(std::ranges::is_sorted(streams));
  EXPECT_EQ(std::ranges::adjacent_find(streams), streams.end());
  EXPECT_NE(Rng(7, stream_of(Purpose::Weights, 0))(), Rng(7, stream_of(Purpose::SelfPlay, 0))());
}

TEST(Rng, BelowCoversItsRangeEvenly) {
  Rng rng(1, 0);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70'000; ++i) {
    ++counts.at(rng.below(7));
  }
  for (const int count : counts) {
    EXPECT_NEAR(count, 10'000, 500);  // five standard deviations are 463
  }
}

TEST(Rng, UniformStaysInTheHalfOpenUnitInterval) {
  Rng rng(2, 0);
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    const double u = rng.uniform();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
  }
  EXPECT_NEAR(sum / 10'000, 0.5, 0.015);
}

}  // namespace
}  // namespace keisei
