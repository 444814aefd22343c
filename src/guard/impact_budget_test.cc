#include "guard/impact_budget.h"

#include <gtest/gtest.h>

namespace keisei::guard {
namespace {

TEST(ImpactBudget, EarnsTheLimitAtFirstAndFourFifthsOfItLater) {
  ImpactBudget budget(0.05);
  budget.update(10, 0);
  EXPECT_NEAR(budget.credit(), 0.5, 1e-12);
  budget.update(20, 0.9);
  EXPECT_NEAR(budget.credit(), 0.1, 1e-12);
  ImpactBudget late(0.05);
  late.update(1000, 1000 * 0.05);  // its credit is long used up
  const double before = late.credit();
  late.update(1100, 1000 * 0.05);
  EXPECT_NEAR(late.credit() - before, 4, 1e-9);
}

TEST(ImpactBudget, SavesNoMoreThanItsCapacity) {
  ImpactBudget budget(0.05);
  for (int t = 1; t <= 3600; ++t) {
    budget.update(t, 0);
  }
  EXPECT_EQ(budget.credit(), ImpactBudget::kCapacity);
}

/// Whoever spends only what is there stays below the limit after any time.
TEST(ImpactBudget, KeepsWhoeverSpendsItAllBelowTheLimit) {
  ImpactBudget budget(0.05);
  double charged = 0;
  for (int i = 1; i <= 100'000; ++i) {
    const double t = i * 0.05;
    budget.update(t, charged);
    if (budget.credit() > 0.05) {
      charged += 0.05;
    }
    ASSERT_LE(charged, 0.05 * t + 1e-9);
  }
}

TEST(ImpactBudget, GivesBackWhatWasChargedTooMuch) {
  ImpactBudget budget(0.05);
  budget.update(20, 1);
  EXPECT_NEAR(budget.credit(), 0, 1e-12);
  budget.update(20, 0.4);
  EXPECT_NEAR(budget.credit(), 0.6, 1e-12);
}

TEST(ImpactBudget, SaysWhenItCanPay) {
  ImpactBudget budget(0.05);
  budget.update(1000, 49);
  const double wait = budget.seconds_until(2.5);
  budget.update(1000 + wait, 49);
  EXPECT_NEAR(budget.credit(), 2.5, 1e-9);
  EXPECT_EQ(budget.seconds_until(1), 0);
}

}  // namespace
}  // namespace keisei::guard
