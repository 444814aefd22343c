#include "rating/score.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "rating/elo.h"

namespace keisei::rating {
namespace {

/// n! / (product of counts!) * product of p_i^counts_i
double multinomial(const std::vector<std::int64_t>& counts, const std::vector<double>& p) {
  std::int64_t n = 0;
  double log_probability = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    n += counts[i];
    if (counts[i] > 0) {
      log_probability += static_cast<double>(counts[i]) * std::log(p[i]);
    }
    log_probability -= std::lgamma(static_cast<double>(counts[i]) + 1);
  }
  return std::exp(log_probability + std::lgamma(static_cast<double>(n) + 1));
}

/// Calls `visit` with each way to put `n` things into `counts.size() - first` boxes.
template <typename Visit>
void each_composition(std::int64_t n, std::vector<std::int64_t>& counts, std::size_t first,
                      const Visit& visit) {
  if (first + 1 == counts.size()) {
    counts[first] = n;
    visit(counts);
    return;
  }
  for (std::int64_t i = 0; i <= n; ++i) {
    counts[first] = i;
    each_composition(n - i, counts, first + 1, visit);
  }
}

struct Ending {
  std::vector<std::int64_t> counts;
  Score score;
};

/// All ways in which `n` pairs can end.
std::vector<Ending> all_endings_of_pairs(std::int64_t n) {
  std::vector<Ending> endings;
  std::vector<std::int64_t> counts(5);
  each_composition(n, counts, 0, [&](const std::vector<std::int64_t>& c) {
    endings.push_back({c, *score_of(MatchCounts{.pairs = {c[0], c[1], c[2], c[3], c[4]}})});
  });
  return endings;
}

/// All ways in which `n` games can end: wins, draws, losses.
std::vector<Ending> all_endings_of_games(std::int64_t n) {
  std::vector<Ending> endings;
  std::vector<std::int64_t> counts(3);
  each_composition(n, counts, 0, [&](const std::vector<std::int64_t>& c) {
    endings.push_back({c, *score_of(GameCounts{.wins = c[0], .draws = c[1], .losses = c[2]})});
  });
  return endings;
}

/// The exact probability that the interval holds `truth`, each result having its probability in p.
double coverage(const std::vector<Ending>& endings, const std::vector<double>& p, double truth) {
  double covered = 0;
  for (const Ending& ending : endings) {
    const bool holds = ending.score.low <= truth && truth <= ending.score.high;
    covered += holds ? multinomial(ending.counts, p) : 0;
  }
  return covered;
}

TEST(Score, IsAbsentWithoutGames) { EXPECT_FALSE(score_of(MatchCounts{}).has_value()); }

TEST(Score, TwentyWinsOfTwentyLeaveRoomForALoss) {
  const Score score = *score_of(GameCounts{.wins = 20});
  EXPECT_EQ(score.value, 1);
  EXPECT_NEAR(score.low, std::pow(0.025, 1.0 / 20), 1e-9);  // P(20 wins | low) = 2.5 %
  EXPECT_EQ(score.high, 1);
  const Score pairs = *score_of(MatchCounts{.pairs = {0, 0, 0, 0, 10}});
  EXPECT_EQ(pairs.low, score.low);
}

TEST(Score, AgreesWithPublishedClopperPearsonLimits) {
  const Score even = *score_of(GameCounts{.wins = 10, .losses = 10});
  EXPECT_NEAR(even.low, 0.27196, 1e-5);
  EXPECT_NEAR(even.high, 0.72804, 1e-5);
  const Score lost = *score_of(GameCounts{.losses = 20});
  EXPECT_EQ(lost.low, 0);
  EXPECT_NEAR(lost.high, 0.16843, 1e-5);
}

TEST(Score, ADrawIsHalfAPoint) {
  const Score score = *score_of(GameCounts{.wins = 1, .draws = 2, .losses = 1});
  EXPECT_EQ(score.value, 0.5);
  EXPECT_EQ(score_of(MatchCounts{.pairs = {0, 1, 0, 1, 0}})->value, 0.5);
}

TEST(Score, PairsThatGoTogetherCountAsOneGameEach) {
  const Score pairs = *score_of(MatchCounts{.pairs = {5, 0, 0, 0, 5}});
  const Score games = *score_of(GameCounts{.wins = 5, .losses = 5});
  EXPECT_EQ(pairs.effective_games, 10);
  EXPECT_EQ(pairs.low, games.low);
  EXPECT_EQ(pairs.high, games.high);
}

TEST(Score, PairsOfIndependentGamesCountAlmostAsTwo) {
  // 20 pairs like two fair coins: variance 20/19 * 10 / 40^2, times (t39 / t19)^2 = 0.93392.
  const Score pairs = *score_of(MatchCounts{.pairs = {5, 0, 10, 0, 5}});
  EXPECT_NEAR(pairs.effective_games, 38 * 0.93392, 1e-2);
}

TEST(Score, PairsThatAlwaysSplitProveNoMoreThanTheirGames) {
  const Score pairs = *score_of(MatchCounts{.pairs = {0, 0, 10, 0, 0}});
  EXPECT_EQ(pairs.effective_games, 20);
  EXPECT_NEAR(pairs.low, 0.27196, 1e-5);
}

TEST(Score, TakesGamesWithoutAPartnerIn) {
  const Score score = *score_of(MatchCounts{.pairs = {0, 0, 4, 0, 4}, .single = {.wins = 1}});
  EXPECT_EQ(score.games, 17);
  EXPECT_NEAR(score.value, 13.0 / 17, 1e-12);
  EXPECT_EQ(score_of(MatchCounts{.pairs = {0, 0, 0, 1, 0}})->effective_games, 1);
}

TEST(Score, StaysInsideZeroAndOneAndAroundItsValueForAllSmallMatches) {
  for (std::int64_t n = 1; n <= 6; ++n) {
    std::vector<std::int64_t> counts(5);
    each_composition(n, counts, 0, [&](const std::vector<std::int64_t>& c) {
      for (std::int64_t wins = 0; wins <= 1; ++wins) {
        const Score score = *score_of(
            MatchCounts{.pairs = {c[0], c[1], c[2], c[3], c[4]}, .single = {.wins = wins}});
        EXPECT_LE(0, score.low);
        EXPECT_LE(score.low, score.value);
        EXPECT_LE(score.value, score.high);
        EXPECT_LE(score.high, 1);
        EXPECT_GT(score.high - score.low, 0.05);
      }
    });
  }
}

TEST(Score, IntervalOfGamesHoldsTheTruth95TimesInAHundredOrMore) {
  const std::vector<Ending> endings = all_endings_of_games(20);
  for (int permille = 10; permille < 1000; permille += 15) {
    const double p = permille / 1000.0;
    EXPECT_GE(coverage(endings, {p, 0, 1 - p}, p), 0.95) << p;
    EXPECT_GE(coverage(endings, {0.7 * p, 0.3, 0.7 - 0.7 * p}, 0.7 * p + 0.15), 0.95) << p;
  }
}

TEST(Score, IntervalOfPairsHoldsTheTruthAlsoWhereTheirGamesDepend) {
  const std::vector<Ending> endings = all_endings_of_pairs(10);
  for (int percent = 2; percent < 100; percent += 6) {
    const double p = percent / 100.0;
    const double q = 1 - p;
    // Independent games; half of the pairs always split; half of the pairs are won or lost whole.
    EXPECT_GE(coverage(endings, {q * q, 0, 2 * p * q, 0, p * p}, p), 0.95) << p;
    EXPECT_GE(coverage(endings, {q / 2, 0, 0.5, 0, p / 2}, 0.25 + p / 2), 0.95) << p;
    EXPECT_GE(coverage(endings, {(q + q * q) / 2, 0, p * q, 0, (p + p * p) / 2}, p), 0.93) << p;
  }
}

TEST(Elo, AgreesWithTheLogisticTable) {
  EXPECT_NEAR(*elo_of_score(0.75), 190.848, 1e-3);
  EXPECT_NEAR(*elo_of_score(0.64), 99.951, 1e-3);
  EXPECT_EQ(*elo_of_score(0.5), 0);
  EXPECT_NEAR(*elo_of_score(0.759747), 200, 1e-3);
}

TEST(Elo, HasNoFiniteValueForACleanSweepButALowerBound) {
  const EloDifference elo = elo_of(*score_of(GameCounts{.wins = 20}));
  EXPECT_FALSE(elo.value.has_value());
  EXPECT_FALSE(elo.high.has_value());
  EXPECT_NEAR(*elo.low, 277.4, 0.2);
}

}  // namespace
}  // namespace keisei::rating
