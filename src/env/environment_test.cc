#include "env/environment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "shogi/test_support.h"

namespace keisei::env {
namespace {

using shogi::Ending;

Action random_action(const Environment& environment, int game, Rng& rng) {
  const auto actions = environment.legal_actions(game);
  return actions[rng.below(static_cast<std::uint32_t>(actions.size()))];
}

/// Plays one random game to its end; its moves.
std::vector<shogi::Move> play_random(Environment& environment, int game, std::uint64_t seed) {
  Rng rng(seed, static_cast<std::uint64_t>(game));
  environment.reset(game);
  StepResult result;
  while (!result.terminal) {
    result = environment.apply(game, random_action(environment, game, rng));
  }
  const auto moves = environment.moves(game);
  return {moves.begin(), moves.end()};
}

StepResult apply_usi(Environment& environment, std::string_view usi) {
  return environment.apply(0, action_of(environment.position(0), shogi::move_of(usi)));
}

TEST(Environment, StartsAllGamesAtTheStartPosition) {
  const Environment environment(3, {});
  for (int game = 0; game < 3; ++game) {
    EXPECT_EQ(environment.position(game), shogi::Position::start());
    EXPECT_EQ(environment.start_sfen(game), shogi::kStartSfen);
    EXPECT_EQ(environment.legal_actions(game).size(), 30U);
    EXPECT_EQ(environment.ply(game), 0);
    EXPECT_EQ(environment.observation(game).ply_cap, 512);
  }
}

TEST(Environment, ObservesTheCurrentPositionAfterEveryStep) {
  Environment environment(1, {});
  Rng rng(61, 0);
  while (environment.verdict(0).ending == Ending::None) {
    const auto& position = environment.position(0);
    EXPECT_EQ(environment.observation(0),
              observe(position, {.repetition = environment.observation(0).repetition,
                                 .in_check = position.in_check(),
                                 .ply = environment.ply(0),
                                 .ply_cap = 512}));
    shogi::MoveList moves;
    generate_legal(position, moves);
    EXPECT_EQ(environment.legal_actions(0).size(), moves.size());
    environment.apply(0, random_action(environment, 0, rng));
  }
}

TEST(Environment, RewardsTheSideThatMates) {
  Environment environment(1, {});
  ASSERT_TRUE(environment.reset(0, "4k4/9/4P4/9/9/9/9/9/4K4 b G 1").has_value());
  const StepResult result = apply_usi(environment, "G*5b");
  EXPECT_EQ(result.reward, 1.0F);
  EXPECT_TRUE(result.terminal);
  EXPECT_EQ(result.ending, Ending::Checkmate);
  EXPECT_TRUE(environment.legal_actions(0).empty());
}

TEST(Environment, PunishesTheMoveThatLetsTheOtherSideDeclare) {
  Environment environment(1, {});
  ASSERT_TRUE(environment.reset(0, "+R+R+B+BGGSSG/4KS3/9/9/9/9/9/9/4k4 w 2P 1").has_value());
  const StepResult result = apply_usi(environment, "5i5h");
  EXPECT_EQ(result.reward, -1.0F);
  EXPECT_EQ(result.ending, Ending::Declaration);
}

TEST(Environment, ShowsRepetitionAndDrawsAtTheFourthOccurrence) {
  Environment environment(1, {});
  StepResult result;
  for (int cycle = 0; cycle < 3; ++cycle) {
    EXPECT_EQ(environment.observation(0).repetition, cycle);
    for (const char* move : {"2h3h", "8b7b", "3h2h", "7b8b"}) {
      result = apply_usi(environment, move);
    }
  }
  EXPECT_EQ(result.ending, Ending::Repetition);
  EXPECT_EQ(result.reward, 0.0F);
  EXPECT_TRUE(result.terminal);
  EXPECT_EQ(environment.observation(0).repetition, 3);
}

TEST(Environment, StopsAtThePlyCap) {
  Environment environment(1, {.max_plies = 3, .declaration = true});
  EXPECT_FALSE(apply_usi(environment, "7g7f").terminal);
  EXPECT_FALSE(apply_usi(environment, "3c3d").terminal);
  const StepResult result = apply_usi(environment, "2g2f");
  EXPECT_EQ(result.ending, Ending::PlyCap);
  EXPECT_EQ(result.reward, 0.0F);
}

TEST(Environment, KeepsTheGameWhereAResetFails) {
  Environment environment(1, {});
  apply_usi(environment, "7g7f");
  EXPECT_FALSE(environment.reset(0, "not a position").has_value());
  EXPECT_FALSE(environment.reset(0, "4k4/4G4/4P4/9/9/9/9/9/4K4 w - 1").has_value());
  EXPECT_EQ(environment.ply(0), 1);
  EXPECT_EQ(environment.legal_actions(0).size(), 30U);
}

TEST(Environment, ReplaysAGameToTheSameState) {
  Environment played(1, {});
  const auto moves = play_random(played, 0, 62);
  const std::span<const shogi::Move> most = std::span(moves).first(moves.size() - 1);
  Environment replayed(1, {});
  ASSERT_TRUE(replayed.replay(0, shogi::kStartSfen, most).has_value());
  EXPECT_EQ(replayed.ply(0), static_cast<int>(most.size()));
  EXPECT_FALSE(replayed.legal_actions(0).empty());
  ASSERT_TRUE(replayed.replay(0, shogi::kStartSfen, moves).has_value());
  EXPECT_EQ(replayed.verdict(0), played.verdict(0));
  EXPECT_EQ(replayed.observation(0), played.observation(0));
  EXPECT_EQ(replayed.position(0), played.position(0));
}

TEST(Environment, RefusesToReplayAnIllegalMoveOrOnePastTheEnd) {
  Environment environment(1, {.max_plies = 1, .declaration = true});
  const std::vector<shogi::Move> two = {shogi::move_of("7g7f"), shogi::move_of("3c3d")};
  const auto past = environment.replay(0, shogi::kStartSfen, two);
  ASSERT_FALSE(past.has_value());
  EXPECT_NE(past.error().message.find("after the end"), std::string::npos);
  const std::vector<shogi::Move> wrong = {shogi::move_of("7g7e")};
  EXPECT_FALSE(environment.replay(0, shogi::kStartSfen, wrong).has_value());
  EXPECT_EQ(environment.position(0), shogi::Position::start());
}

TEST(Environment, StepsABatchLikeTheSameGamesOneByOne) {
  Environment batched(4, {});
  Environment single(4, {});
  Rng rng(63, 0);
  const std::vector<int> games = {3, 1, 2};
  std::vector<Action> actions(3);
  std::vector<StepResult> results(3);
  std::vector<Observation> observations(3);
  for (int ply = 0; ply < 30; ++ply) {
    for (std::size_t i = 0; i < games.size(); ++i) {
      actions[i] = random_action(batched, games[i], rng);
      single.apply(games[i], actions[i]);
    }
    batched.apply(games, actions, results);
    batched.observe(games, observations);
    for (std::size_t i = 0; i < games.size(); ++i) {
      EXPECT_EQ(observations[i], single.observation(games[i]));
    }
  }
  EXPECT_EQ(batched.ply(0), 0);
}

TEST(Environment, LetsThreadsStepDifferentGames) {
  constexpr int kGames = 6;
  Environment together(kGames, {});
  std::vector<std::vector<shogi::Move>> moves(kGames);
  {
    std::vector<std::jthread> threads;
    threads.reserve(2);
    for (int first = 0; first < 2; ++first) {
      threads.emplace_back([&, first] {
        for (int game = first; game < kGames; game += 2) {
          moves[static_cast<std::size_t>(game)] = play_random(together, game, 64);
        }
      });
    }
  }
  Environment alone(kGames, {});
  for (int game = 0; game < kGames; ++game) {
    EXPECT_EQ(play_random(alone, game, 64), moves[static_cast<std::size_t>(game)]);
  }
}

TEST(EnvironmentDeathTest, AbortsOnAnIllegalAction) {
  Environment environment(1, {});
  EXPECT_DEATH(environment.apply(0, 0), "is not legal");
  EXPECT_DEATH((void)environment.observation(1), "game 1 of 1");
}

}  // namespace
}  // namespace keisei::env
