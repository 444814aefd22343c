#include "match/player.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "match/players.h"
#include "shogi/usi_move.h"

namespace keisei::match {
namespace {

TEST(ParsePlayerSpec, KnowsNamesAndCheckpointPaths) {
  EXPECT_EQ(parse_player_spec("random").value(), (PlayerSpec{PlayerKind::Random, ""}));
  EXPECT_EQ(parse_player_spec("heuristic").value(), (PlayerSpec{PlayerKind::Heuristic, ""}));
  EXPECT_EQ(parse_player_spec("a.safetensors").value(),
            (PlayerSpec{PlayerKind::Checkpoint, "a.safetensors"}));
  EXPECT_EQ(parse_player_spec("./x").value(), (PlayerSpec{PlayerKind::Checkpoint, "./x"}));
}

TEST(ParsePlayerSpec, RefusesAnUnknownOpponentInsteadOfPlayingAnother) {
  for (const char* text : {"", "Random", "ppo", "randm", "usi"}) {
    const auto spec = parse_player_spec(text);
    ASSERT_FALSE(spec) << text;
    EXPECT_EQ(spec.error().kind, ErrorKind::Usage);
    EXPECT_NE(spec.error().message.find("heuristic"), std::string::npos);
  }
}

std::string choice(Player& player, const char* sfen, double u) {
  env::Environment environment(1, {});
  EXPECT_TRUE(environment.reset(0, sfen));
  const Turn turn{0, u};
  env::Action action = 0;
  EXPECT_TRUE(player.choose(environment, {&turn, 1}, {&action, 1}));
  return shogi::to_usi(env::move_of(environment.position(0), action).value());
}

TEST(HeuristicPlayer, TakesTheDearestPiece) {
  HeuristicPlayer player;
  // The rook on 5e can take a pawn on 5b or a bishop on 2e.
  EXPECT_EQ(choice(player, "8k/4p4/9/9/4R2b1/9/9/9/K8 b - 1", 0.5), "5e2e");
}

TEST(HeuristicPlayer, PromotesWhereNothingCanBeTaken) {
  HeuristicPlayer player;
  EXPECT_EQ(choice(player, "8k/9/9/P8/9/9/9/9/K8 b - 1", 0.99), "9d9c+");
}

/// Gives every action the same logit but one.
class FixedEvaluator final : public net::Evaluator {
 public:
  explicit FixedEvaluator(env::Action favourite) : favourite_(favourite) {}
  Result<void> evaluate(std::span<const env::Observation> observations, std::span<float> policy,
                        std::span<float> wdl) override {
    std::ranges::fill(policy, 0.0F);
    std::ranges::fill(wdl, 0.0F);
    for (std::size_t i = 0; i < observations.size(); ++i) {
      policy[i * net::kPolicyLogits + favourite_] = 50.0F;
    }
    return {};
  }

 private:
  env::Action favourite_;
};

TEST(NetPlayer, FollowsItsPolicyOverLegalMovesOnly) {
  env::Environment environment(1, {});
  const env::Action favourite = environment.legal_actions(0)[17];
  const Turn turn{0, 0.3};
  env::Action action = 0;
  NetPlayer legal(std::make_unique<FixedEvaluator>(favourite));
  EXPECT_TRUE(legal.choose(environment, {&turn, 1}, {&action, 1}));
  EXPECT_EQ(action, favourite);

  env::Action illegal = 0;
  while (std::ranges::count(environment.legal_actions(0), illegal) > 0) {
    ++illegal;
  }
  NetPlayer tempted(std::make_unique<FixedEvaluator>(illegal));
  EXPECT_TRUE(tempted.choose(environment, {&turn, 1}, {&action, 1}));
  EXPECT_EQ(std::ranges::count(environment.legal_actions(0), action), 1);
}

}  // namespace
}  // namespace keisei::match
