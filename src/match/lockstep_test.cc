#include "match/lockstep.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>

#include "match/openings.h"
#include "match/players.h"

namespace keisei::match {
namespace {

MatchOptions short_games(int games, int batch) {
  return {.games = games,
          .opening_plies = 4,
          .batch = batch,
          .seed = 11,
          .rules = {.max_plies = 60, .declaration = true}};
}

std::map<int, GameResult> play(Player& candidate, Player& opponent, const MatchOptions& options) {
  std::map<int, GameResult> results;
  EXPECT_TRUE(play_match(candidate, opponent, options, [&results](const GameResult& result) {
    EXPECT_TRUE(results.emplace(result.game, result).second) << "game " << result.game << " twice";
    return true;
  }));
  return results;
}

TEST(Lockstep, PlaysEveryGameOnceWithColoursSwappedInEachPair) {
  RandomPlayer a;
  RandomPlayer b;
  const auto results = play(a, b, short_games(10, 4));
  ASSERT_EQ(results.size(), 10U);
  for (const auto& [game, result] : results) {
    EXPECT_EQ(result.candidate_is_black, game % 2 == 0);
    EXPECT_NE(result.ending, shogi::Ending::None);
  }
}

TEST(Lockstep, BothGamesOfAPairShareTheOpeningAndPairsDiffer) {
  RandomPlayer a;
  RandomPlayer b;
  const auto results = play(a, b, short_games(8, 8));
  const auto opening = [&results](int game) {
    const auto& moves = results.at(game).moves;
    return std::vector(moves.begin(), moves.begin() + 4);
  };
  for (int pair = 0; pair < 4; ++pair) {
    EXPECT_EQ(opening(2 * pair), opening(2 * pair + 1));
  }
  EXPECT_NE(opening(0), opening(2));
}

TEST(Lockstep, GamesDoNotDependOnTheBatch) {
  HeuristicPlayer a;
  RandomPlayer b;
  const auto alone = play(a, b, short_games(6, 1));
  const auto together = play(a, b, short_games(6, 6));
  for (int game = 0; game < 6; ++game) {
    EXPECT_EQ(alone.at(game).moves, together.at(game).moves);
    EXPECT_EQ(alone.at(game).score, together.at(game).score);
  }
}

TEST(Lockstep, EachMatchOfASeedHasItsOwnOpeningsAndDraws) {
  RandomPlayer a;
  RandomPlayer b;
  MatchOptions options = short_games(8, 8);
  const auto first = play(a, b, options);
  options.match = 1;
  const auto second = play(a, b, options);
  for (int game = 0; game < 8; ++game) {
    for (int other = 0; other < 8; ++other) {
      EXPECT_NE(first.at(game).moves, second.at(other).moves) << game << " and " << other;
    }
  }
}

TEST(Lockstep, StopsWhenToldTo) {
  RandomPlayer a;
  RandomPlayer b;
  int ended = 0;
  EXPECT_TRUE(
      play_match(a, b, short_games(20, 5), [&ended](const GameResult&) { return ++ended < 3; }));
  EXPECT_EQ(ended, 3);
}

/// A network whose weights are broken.
class NanEvaluator final : public net::Evaluator {
 public:
  Result<void> evaluate(std::span<const env::Observation> /*observations*/, std::span<float> policy,
                        std::span<float> wdl) override {
    std::ranges::fill(policy, std::numeric_limits<float>::quiet_NaN());
    std::ranges::fill(wdl, std::numeric_limits<float>::quiet_NaN());
    return {};
  }
};

TEST(Lockstep, ANetworkWithoutFiniteLogitsEndsTheMatchWithoutAResult) {
  NetPlayer broken(std::make_unique<NanEvaluator>());
  RandomPlayer random;
  int ended = 0;
  const Result<void> played =
      play_match(broken, random, short_games(4, 4), [&ended](const GameResult&) {
        ++ended;
        return true;
      });
  ASSERT_FALSE(played);
  EXPECT_NE(played.error().message.find("logit"), std::string::npos) << played.error().message;
  EXPECT_EQ(ended, 0);
}

/// Replays a result by the rules and gives the candidate's score.
int replayed_score(const GameResult& result, const shogi::GameRules& rules) {
  env::Environment environment(1, rules);
  env::StepResult last;
  for (const shogi::Move move : result.moves) {
    last = environment.apply(0, env::action_of(environment.position(0), move));
  }
  EXPECT_TRUE(last.terminal);
  EXPECT_EQ(last.ending, result.ending);
  const bool black_moved_last = result.moves.size() % 2 == 1;
  const int reward = static_cast<int>(last.reward);
  return black_moved_last == result.candidate_is_black ? reward : -reward;
}

TEST(Lockstep, ScoresBelongToTheCandidateWhicheverColourItHas) {
  HeuristicPlayer strong;
  RandomPlayer weak;
  MatchOptions options = short_games(40, 40);
  options.rules.max_plies = 400;
  int total = 0;
  for (const auto& [game, result] : play(strong, weak, options)) {
    EXPECT_EQ(result.score, replayed_score(result, options.rules)) << game;
    total += result.score;
  }
  EXPECT_GT(total, 10);  // capturing whatever it can beats moving at random
}

TEST(RandomOpening, IsAFunctionOfSeedAndPair) {
  const shogi::GameRules rules;
  EXPECT_EQ(random_opening(rules, 6, 1, 2), random_opening(rules, 6, 1, 2));
  EXPECT_NE(random_opening(rules, 6, 1, 2), random_opening(rules, 6, 1, 3));
  EXPECT_NE(random_opening(rules, 6, 1, 2), random_opening(rules, 6, 2, 2));
  EXPECT_TRUE(random_opening(rules, 0, 1, 2).empty());
}

}  // namespace
}  // namespace keisei::match
