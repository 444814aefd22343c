#include "guard/confidence_sequence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace keisei::guard {
namespace {

constexpr double kAlpha = 0.05;
constexpr int kRuns = 2000;
constexpr int kLooks = 300;
// Of 2,000 runs of which 5 % may miss, more than that have a chance of 1 in 10,000.
constexpr int kTooMany = 137;

/// How many runs ever miss the sum of the conditional means that `next` names; it gives a draw and
/// its mean.
template <typename Next>
int runs_that_miss(const Next& make_next) {
  int missed = 0;
  for (int run = 0; run < kRuns; ++run) {
    std::mt19937_64 random(static_cast<std::uint64_t>(run));
    auto next = make_next();
    SumBound bound(kAlpha);
    double means = 0;
    bool miss = false;
    for (int look = 0; look < kLooks; ++look) {
      const auto [value, mean, unit] = next(random, bound);
      bound.add(value, unit);
      means += unit * mean;
      // The slack is dear to compute, and hardly below ln 20.
      miss = miss || (means > bound.sum() + 2.9 && means > bound.sum() + bound.slack());
    }
    missed += miss ? 1 : 0;
  }
  return missed;
}

struct Draw {
  double value;
  double mean;
  double unit = 1;
};

TEST(SumBound, HoldsAtAllLooksForCoins) {
  const auto coin = [] {
    return [](std::mt19937_64& random, const SumBound&) {
      return Draw{.value = random() % 2 == 0 ? 1.0 : -1.0, .mean = 0};
    };
  };
  EXPECT_LE(runs_that_miss(coin), kTooMany);
}

/// Values that are mostly high and now and then very low hide their mean from an average.
TEST(SumBound, HoldsForRareAndLargeLosses) {
  const auto rare = [] {
    return [](std::mt19937_64& random, const SumBound&) {
      return Draw{.value = random() % 50 == 0 ? 1.0 : 0.0, .mean = 0.02};
    };
  };
  EXPECT_LE(runs_that_miss(rare), kTooMany);
}

/// Who knows the sum so far and chooses spread and mean by it.
TEST(SumBound, HoldsAgainstADrawThatDependsOnThePast) {
  const auto adversary = [] {
    return [](std::mt19937_64& random, const SumBound& bound) {
      const bool calm = bound.sum() < -1;
      const double spread = calm ? 0.05 : 1.0;
      const double mean = calm ? 0.0 : -0.1;
      return Draw{.value = (random() % 2 == 0 ? spread : -spread) + mean, .mean = mean};
    };
  };
  EXPECT_LE(runs_that_miss(adversary), kTooMany);
}

/// Long draws where it has won, short ones where it has lost: in units of each the sum would say
/// little about the sum of all.
TEST(SumBound, HoldsForDrawsOfDifferentUnits) {
  const auto mixed = [] {
    return [](std::mt19937_64& random, const SumBound& bound) {
      return Draw{
          .value = random() % 2 == 0 ? 1.0 : -1.0, .mean = 0, .unit = bound.sum() < 0 ? 12.0 : 1.0};
    };
  };
  EXPECT_LE(runs_that_miss(mixed), kTooMany);
}

TEST(SumBound, UnitsAreAMatterOfScale) {
  SumBound ones(kAlpha);
  SumBound tenths(kAlpha);
  for (int i = 0; i < 100; ++i) {
    ones.add(i % 2 == 0 ? 0.3 : -0.2);
    tenths.add(i % 2 == 0 ? 0.3 : -0.2, 0.1);
  }
  EXPECT_NEAR(tenths.sum(), ones.sum() / 10, 1e-12);
  EXPECT_NEAR(tenths.slack(), ones.slack() / 10, 1e-9);
}

TEST(SumBound, AUnitThatIsTooLongForAllIsBoundedByWhatMayBe) {
  SumBound bound(kAlpha);
  bound.add(0.5, 0.01);
  bound.add(0.25, 1000);
  EXPECT_NEAR(bound.slack(), 0.005 + 750, 1e-6);
}

TEST(SumBound, IsNotVacuous) {
  SumBound bound(kAlpha);
  for (int i = 0; i < 400; ++i) {
    bound.add(i % 2 == 0 ? 0.1 : -0.1);
  }
  EXPECT_LT(bound.slack() / 400, 0.03);
  EXPECT_GT(bound.slack(), 3);  // ln 20 at least
}

TEST(SumBound, GrowsWithTheSpread) {
  SumBound quiet(kAlpha);
  SumBound loud(kAlpha);
  for (int i = 0; i < 100; ++i) {
    quiet.add(i % 2 == 0 ? 0.05 : -0.05);
    loud.add(i % 2 == 0 ? 0.8 : -0.8);
  }
  EXPECT_LT(2 * quiet.slack(), loud.slack());
}

TEST(SumBoundDeathTest, RefusesWhatItDoesNotCover) {
  SumBound bound(kAlpha);
  EXPECT_DEATH(bound.add(1.5), "above the bound");
}

}  // namespace
}  // namespace keisei::guard
