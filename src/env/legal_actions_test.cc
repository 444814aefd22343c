#include "env/legal_actions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "shogi/test_support.h"

namespace keisei::env {
namespace {

TEST(LegalActions, AreThoseOfThePositionThatIsShown) {
  int white = 0;
  shogi::for_each_random_position(50, 55, [&](const shogi::Game& game) {
    const auto moves = game.legal_moves();
    std::vector<Action> expected(moves.size());
    actions_of(game.position(), moves, expected);
    const LegalActions found(observe(game.position(), {}));
    std::vector<Action> actions(found.begin(), found.end());
    std::ranges::sort(expected);
    std::ranges::sort(actions);
    ASSERT_EQ(actions, expected) << shogi::to_sfen(game.position());
    white += game.position().side() == shogi::Color::White ? 1 : 0;
  });
  EXPECT_GT(white, 5'000);
}

TEST(LegalActions, OfTwoSidesThatSeeTheSameAreTheSameInOrder) {
  shogi::for_each_random_position(5, 56, [](const shogi::Game& game) {
    const LegalActions one(observe(game.position(), {}));
    const LegalActions other(observe(shogi::turned(game.position()), {}));
    EXPECT_TRUE(std::ranges::equal(one, other));
  });
}

TEST(LegalActionsDeathTest, HasNoIndexOfAnActionThatIsNotLegal) {
  const LegalActions actions(observe(shogi::Position::start(), {}));
  EXPECT_EQ(actions.index_of(actions.begin()[29]), 29U);
  EXPECT_DEATH((void)actions.index_of(0), "action 0 is not legal");
}

}  // namespace
}  // namespace keisei::env
