#include "guard/tree_pace.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

/// A tree that is told what a kernel would do to it.
class FakeTree final : public TreeBrake {
 public:
  bool freeze() override {
    frozen = frozen || freezes;
    return freezes;
  }
  bool thaw() override {
    frozen = frozen && !thaws;
    return thaws;
  }
  bool signal(int number) override {
    EXPECT_EQ(number, SIGSTOP);
    stopped = stopped || hears;
    return hears;
  }
  bool let_run(std::chrono::nanoseconds time) override {
    if (hears) {
      told_to_go_on += stopped ? 1 : 0;
      stopped = false;
      lease = time;
    }
    return hears;
  }
  void end_of_lease() { stopped = true; }
  [[nodiscard]] bool runs() const { return !frozen && !stopped; }

  bool freezes = true;
  bool thaws = true;
  bool hears = true;
  bool frozen = false;
  bool stopped = false;
  int told_to_go_on = 0;
  std::chrono::nanoseconds lease{0};
};

class TreePaceTest : public testing::Test {
 protected:
  void look(bool stop, double cpu_seconds) {
    now_ += 10ms;
    pace_.go_on_at_last(tree_);
    pace_.apply(stop, tree_, now_, cpu_seconds);
  }

  FakeTree tree_;
  TreePace pace_;
  MonotonicTime now_{};
};

TEST_F(TreePaceTest, WhereThereIsAFreezerNothingIsTold) {
  look(true, 1);
  EXPECT_TRUE(tree_.frozen);
  look(true, 1.004);  // what it used until it stood still
  look(true, 1.004);
  look(false, 1.004);
  EXPECT_TRUE(tree_.runs());
  EXPECT_EQ(tree_.told_to_go_on, 0);
  EXPECT_EQ(pace_.paused(now_), 30ms);
}

TEST_F(TreePaceTest, WithoutOneItIsStoppedAsOftenAsItGoesOn) {
  tree_.freezes = false;
  look(true, 1);
  EXPECT_TRUE(tree_.stopped);
  tree_.stopped = false;  // a newborn
  look(true, 1.1);
  EXPECT_TRUE(tree_.stopped);
  look(false, 1.1);
  EXPECT_TRUE(tree_.runs());
}

TEST_F(TreePaceTest, WhoGoesOnThoughFrozenIsStoppedBySignalToo) {
  look(true, 1);
  look(true, 1.01);
  look(true, 1.02);
  EXPECT_FALSE(tree_.stopped);
  look(true, 1.04);  // somebody has left the cgroup
  EXPECT_TRUE(tree_.stopped);
  look(false, 1.04);
  EXPECT_TRUE(tree_.runs());
  look(true, 1.1);  // from now on at once
  EXPECT_TRUE(tree_.stopped);
  look(false, 1.1);
  EXPECT_TRUE(tree_.runs());
}

TEST_F(TreePaceTest, WhatWasStoppedBySignalFirstGoesOnToo) {
  tree_.freezes = false;  // the jail has not told yet where the tree is
  look(true, 1);
  tree_.freezes = true;
  look(true, 1.1);
  look(false, 1.1);
  EXPECT_TRUE(tree_.runs());
}

TEST_F(TreePaceTest, AThawThatFailsIsTriedAgain) {
  look(true, 1);
  tree_.thaws = false;
  look(false, 1);
  EXPECT_TRUE(tree_.frozen);
  look(false, 1);
  tree_.thaws = true;
  look(false, 1);
  EXPECT_TRUE(tree_.runs());
}

TEST_F(TreePaceTest, AnOrderToGoOnThatWasNotHeardIsGivenAgain) {
  ASSERT_TRUE(pace_.stop_to_count(tree_));
  tree_.hears = false;
  pace_.go_on(tree_, 0ns);
  EXPECT_TRUE(tree_.stopped);
  look(true, 1);  // frozen meanwhile
  tree_.hears = true;
  look(false, 1);
  EXPECT_TRUE(tree_.runs());
}

TEST_F(TreePaceTest, WhoRunsOnALeaseIsLetRunByWhateverEndsAStop) {
  ASSERT_TRUE(pace_.stop_to_count(tree_));
  pace_.go_on(tree_, 3ms);
  EXPECT_EQ(tree_.lease, 3ms);
  look(true, 1);         // frozen, and told nothing
  tree_.end_of_lease();  // in the middle of that
  pace_.go_on(tree_, 3ms);
  EXPECT_FALSE(tree_.runs());
  pace_.go_on(tree_, 2ms);  // counted again meanwhile
  look(false, 1);
  EXPECT_TRUE(tree_.runs());
  EXPECT_EQ(tree_.lease, 2ms);
}

TEST_F(TreePaceTest, ALeaseThatWasNotHeardIsGivenAgain) {
  ASSERT_TRUE(pace_.stop_to_count(tree_));
  tree_.hears = false;
  pace_.go_on(tree_, 3ms);
  look(false, 1);
  EXPECT_FALSE(tree_.runs());
  tree_.hears = true;
  look(false, 1);
  EXPECT_TRUE(tree_.runs());
  EXPECT_EQ(tree_.lease, 3ms);
}

TEST_F(TreePaceTest, WhoseLeaseIsEndedIsToldNothingMore) {
  ASSERT_TRUE(pace_.stop_to_count(tree_));
  pace_.go_on(tree_, 3ms);
  tree_.end_of_lease();
  pace_.end_lease(tree_);
  EXPECT_TRUE(tree_.runs());
  const int told = tree_.told_to_go_on;
  pace_.end_lease(tree_);
  look(false, 1);
  EXPECT_EQ(tree_.told_to_go_on, told);
}

TEST_F(TreePaceTest, WhoeverMakesItGoOnDoesNotWhileItIsToStand) {
  look(true, 1);
  pace_.stop_again(tree_);  // frozen: nothing to do, and nothing it would notice
  EXPECT_FALSE(tree_.stopped);
  look(false, 1);
  tree_.freezes = false;
  look(true, 1);
  tree_.stopped = false;  // its user
  pace_.stop_again(tree_);
  EXPECT_TRUE(tree_.stopped);
}

TEST_F(TreePaceTest, WhatStandsAnywayIsNotStoppedToBeCounted) {
  look(true, 1);
  EXPECT_FALSE(pace_.stop_to_count(tree_));
}

}  // namespace
}  // namespace keisei::guard
