#include "shogi/agreement.h"

#include <gtest/gtest.h>

#include "shogi/test_support.h"

namespace keisei::shogi {
namespace {

constexpr int kGames = 300;  // with their mean of some 370 plies
constexpr int kPlies = 100'000;

/// Judging a position costs 0.1 ms, so the games are shared out.
constexpr int kShards = 4;

class JudgedGames : public testing::TestWithParam<std::uint64_t> {};

TEST_P(JudgedGames, HaveTheMovesThatTheIndependentRulesAcceptAtEveryPly) {
  int plies = 0;
  std::string fault;
  for_each_random_position(kGames / kShards, GetParam(), [&](const Game& game) {
    ++plies;
    if (fault.empty()) {
      fault = moves_not_as_judged(game.position(), game.legal_moves());
    }
  });
  EXPECT_EQ(fault, "");
  EXPECT_GE(plies, kPlies / kShards);
}
INSTANTIATE_TEST_SUITE_P(Shard, JudgedGames, testing::Range<std::uint64_t>(100, 100 + kShards));

TEST(RandomGames, AreRecomputedAfterAndRestoredFromEachLegalMove) {
  int plies = 0;
  std::string fault;
  for_each_random_position(kGames, 104, [&](const Game& game) {
    ++plies;
    if (fault.empty()) {
      fault = moves_not_undone(game.position(), game.legal_moves());
    }
  });
  EXPECT_EQ(fault, "");
  EXPECT_GE(plies, kPlies);
}

TEST(RandomGames, HaveTheTurnedMovesOnTheTurnedBoard) {
  int plies = 0;
  std::string fault;
  for_each_random_position(kGames, 105, [&](const Game& game) {
    ++plies;
    if (fault.empty()) {
      fault = moves_not_turned(game.position(), game.legal_moves());
    }
  });
  EXPECT_EQ(fault, "");
  EXPECT_GE(plies, kPlies);
}

TEST(ConceivableMoves, AreAllThatSquaresKindsAndPromotionCanSay) {
  int count = 0;
  for_each_conceivable_move([&](Move) { ++count; });
  EXPECT_EQ(count, 81 * 81 * 2 + 7 * 81);
}

TEST(Agreement, NamesAMoveThatIsMissingDoubledOrNotLegal) {
  const Position& start = Position::start();
  MoveList legal;
  generate_legal(start, legal);
  std::vector<Move> moves(legal.begin(), legal.end());
  EXPECT_EQ(first_fault(start, moves), "");
  const Move taken = moves.back();
  moves.pop_back();
  EXPECT_EQ(moves_not_as_judged(start, moves), std::string(kStartSfen) + " lacks " + to_usi(taken));
  EXPECT_NE(moves_not_turned(start, moves), "");
  moves.push_back(moves.front());
  EXPECT_EQ(moves_not_as_judged(start, moves), std::string(kStartSfen) + " lacks " + to_usi(taken));
  moves.push_back(taken);
  EXPECT_EQ(moves_not_as_judged(start, moves),
            std::string(kStartSfen) + " has 31 moves, of which 30 are different and legal");
  moves.front() = move_of("5i5a");
  EXPECT_NE(moves_not_as_judged(start, moves).find(" has 5i5a"), std::string::npos);
}

}  // namespace
}  // namespace keisei::shogi
