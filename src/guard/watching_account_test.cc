#include "guard/watching_account.h"

#include <gtest/gtest.h>

namespace keisei::guard {
namespace {

TEST(WatchingAccount, IsAllThatTheProcessUsesWhileEvaluationsAreAtWork) {
  WatchingAccount account;
  account.take({.process = 5, .load = 1, .looks = 0.5}, true);
  EXPECT_EQ(account.used(), 0);
  account.take({.process = 8, .load = 2, .looks = 0.75}, true);
  EXPECT_DOUBLE_EQ(account.used(), 2);
}

TEST(WatchingAccount, IsTheGovernorsLooksWhileNoneIs) {
  WatchingAccount account;
  account.take({.process = 5, .load = 1, .looks = 0.5}, false);
  account.take({.process = 8, .load = 2, .looks = 0.75}, false);
  EXPECT_DOUBLE_EQ(account.used(), 0.25);
}

TEST(WatchingAccount, HasItsHelpersWhetherEvaluationsAreAtWorkOrNot) {
  WatchingAccount account;
  account.take({.process = 5, .load = 1, .looks = 0.5, .helpers = 2}, true);
  account.take({.process = 6, .load = 1, .looks = 0.5, .helpers = 2.5}, true);
  EXPECT_DOUBLE_EQ(account.used(), 1.5);
  account.take({.process = 9, .load = 1, .looks = 0.75, .helpers = 3}, false);
  EXPECT_DOUBLE_EQ(account.used(), 2.25);
}

}  // namespace
}  // namespace keisei::guard
