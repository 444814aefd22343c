#include "train/self_play.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "env/legal_actions.h"
#include "net/policy.h"

namespace keisei::train {
namespace {

/// Judges by a hash of each observation: fast, and different for each position.
class HashEvaluator final : public net::Evaluator {
 public:
  Result<void> evaluate(std::span<const env::Observation> observations,
                        std::span<float> policy_logits, std::span<float> wdl_logits) override {
    for (std::size_t i = 0; i < observations.size(); ++i) {
      std::uint64_t hash = 1469598103934665603U;
      for (const std::uint8_t piece : observations[i].board) {
        hash = (hash ^ piece) * 1099511628211U;
      }
      Rng random(hash, 0);
      for (float& logit : policy_logits.subspan(i * net::kPolicyLogits, net::kPolicyLogits)) {
        logit = static_cast<float>(random.uniform());
      }
      for (float& logit : wdl_logits.subspan(i * net::kWdlLogits, net::kWdlLogits)) {
        logit = static_cast<float>(random.uniform());
      }
    }
    if (failing) {
      return fail("the judge is out");
    }
    if (broken) {
      std::ranges::fill(policy_logits, std::numeric_limits<float>::quiet_NaN());
    }
    return {};
  }

  bool failing = false;
  bool broken = false;  // judges with NaN
};

struct Player {
  explicit Player(const SelfPlaySettings& settings, int count = 1)
      : workers(count, [] {}), judges(static_cast<std::size_t>(count)), self_play(settings) {
    for (HashEvaluator& judge : judges) {
      evaluators.push_back(&judge);
    }
  }
  Rollout play(int plies) {
    Rollout rollout;
    EXPECT_TRUE(self_play.collect(workers, evaluators, plies, rollout, std::stop_token()).value());
    return rollout;
  }
  Workers workers;
  std::vector<HashEvaluator> judges;
  std::vector<net::Evaluator*> evaluators;
  SelfPlay self_play;
};

constexpr SelfPlaySettings kShort{.games = 70, .max_plies = 40, .random_plies = 5, .seed = 3};

TEST(SelfPlay, FillsEveryColumnConsistently) {
  Player player(kShort);
  const Rollout rollout = player.play(50);
  ASSERT_EQ(rollout.size(), 70U * 50U);
  int ends = 0;
  for (const GameColumn& column : rollout.columns) {
    ASSERT_EQ(column.results.size(), 50U);
    ASSERT_EQ(column.wdl.size(), 51U);
    for (std::size_t t = 0; t < column.results.size(); ++t) {
      const env::LegalActions legal(column.observations[t]);
      EXPECT_EQ(std::ranges::count(legal, column.chosen[t]), 1);
      EXPECT_LE(column.log_probs[t], 0);
      const StepEnd end = column.results[t].end;
      ends += end == StepEnd::Terminal ? 1 : 0;
      EXPECT_NE(end, StepEnd::Truncated) << "the ply cap is a draw by rule";
      if (end == StepEnd::Continues && t + 1 < column.results.size()) {
        EXPECT_EQ(column.observations[t + 1].ply, column.observations[t].ply + 1);
      }
    }
  }
  EXPECT_EQ(ends, player.self_play.last_games().games);
  EXPECT_GE(ends, 70) << "each slot reaches the cap of 40 within 50 plies";
}

TEST(SelfPlay, DoesNotDependOnTheNumberOfWorkers) {
  Player one(kShort, 1);
  Player three(kShort, 3);
  for (int round = 0; round < 2; ++round) {
    const Rollout a = one.play(30);
    const Rollout b = three.play(30);
    for (std::size_t i = 0; i < a.columns.size(); ++i) {
      EXPECT_EQ(a.columns[i].chosen, b.columns[i].chosen);
      EXPECT_EQ(a.columns[i].log_probs, b.columns[i].log_probs);
      EXPECT_EQ(a.columns[i].observations, b.columns[i].observations);
    }
  }
  EXPECT_EQ(one.self_play.states(), three.self_play.states());
}

TEST(SelfPlay, GoesOnFromItsStatesAsIfNothingHadHappened) {
  Player whole(kShort);
  whole.play(25);
  Player resumed(kShort);
  const Result<void> restored = resumed.self_play.restore(whole.self_play.states());
  ASSERT_TRUE(restored) << restored.error().message;
  const Rollout a = whole.play(25);
  const Rollout b = resumed.play(25);
  for (std::size_t i = 0; i < a.columns.size(); ++i) {
    EXPECT_EQ(a.columns[i].chosen, b.columns[i].chosen);
    EXPECT_EQ(a.columns[i].observations, b.columns[i].observations);
  }
}

TEST(SelfPlay, RefusesTheStatesOfAnotherNumberOfGames) {
  Player player(kShort);
  std::vector<GameState> states = player.self_play.states();
  states.pop_back();
  const Result<void> restored = player.self_play.restore(states);
  ASSERT_FALSE(restored);
  EXPECT_THAT(restored.error().message, ::testing::HasSubstr("training.environments is 70"));
}

TEST(SelfPlay, StopsWhenAsked) {
  Player player(kShort);
  std::stop_source stop;
  stop.request_stop();
  Rollout rollout;
  EXPECT_FALSE(
      player.self_play.collect(player.workers, player.evaluators, 1000, rollout, stop.get_token())
          .value());
}

TEST(SelfPlay, FailsWhereNobodyCanJudgeInsteadOfPlayingOn) {
  for (const bool throws : {true, false}) {
    Player player(kShort, 2);
    for (HashEvaluator& judge : player.judges) {
      judge.failing = throws;
      judge.broken = !throws;
    }
    Rollout rollout;
    const Result<bool> played =
        player.self_play.collect(player.workers, player.evaluators, 10, rollout, std::stop_token());
    ASSERT_FALSE(played);
    EXPECT_THAT(played.error().message, ::testing::HasSubstr(throws ? "judge is out" : "logit"));
  }
}

TEST(SelfPlay, JudgingAgainWithTheSameEvaluatorChangesNothing) {
  Player player(kShort, 2);
  Rollout rollout = player.play(45);
  const Rollout before = rollout;
  for (GameColumn& column : rollout.columns) {
    std::ranges::fill(column.log_probs, 7.0F);
    std::ranges::fill(column.wdl, Wdl{});
  }
  ASSERT_TRUE(judge_again(player.workers, player.evaluators, rollout));
  for (std::size_t i = 0; i < rollout.columns.size(); ++i) {
    EXPECT_EQ(rollout.columns[i].log_probs, before.columns[i].log_probs);
    EXPECT_EQ(rollout.columns[i].wdl, before.columns[i].wdl);
  }
}

template <typename T>
std::size_t bytes_of(const std::vector<T>& values) {
  return values.capacity() * sizeof(T);
}

TEST(Rollout, TakesAtMost300BytesAPlyWithAllThatItReserves) {
  Player player(kShort);
  Rollout rollout = player.play(45);
  finish(rollout, {});
  std::size_t bytes = 0;
  for (const GameColumn& column : rollout.columns) {
    bytes += sizeof(column) + bytes_of(column.observations) + bytes_of(column.chosen) +
             bytes_of(column.log_probs) + bytes_of(column.results) + bytes_of(column.wdl) +
             bytes_of(column.targets);
  }
  RecordProperty("bytes_per_ply", std::to_string(bytes / rollout.size()));
  EXPECT_LE(bytes, 300 * rollout.size());
  EXPECT_GE(bytes, kPlyBytes * rollout.size());
}

TEST(Rollout, AdvantagesAreNormalisedAndGathered) {
  Player player(kShort);
  Rollout rollout = player.play(45);
  finish(rollout, {});
  double sum = 0;
  double squares = 0;
  for (const GameColumn& column : rollout.columns) {
    for (const GaeTarget& target : column.targets) {
      sum += target.advantage;
      squares += static_cast<double>(target.advantage) * target.advantage;
    }
  }
  const auto count = static_cast<double>(rollout.size());
  EXPECT_NEAR(sum / count, 0, 1e-4);
  EXPECT_NEAR(squares / count, 1, 1e-3);
  net::MicroBatch batch;
  const std::vector<std::uint32_t> samples = {0, 46, 45 * 69 + 44};
  gather(rollout, samples, batch);
  ASSERT_EQ(batch.size(), 3U);
  EXPECT_EQ(batch.observations[1], rollout.columns[1].observations[1]);
  EXPECT_EQ(batch.legal[batch.chosen[0]], rollout.columns[0].chosen[0]);
  EXPECT_EQ(batch.legal[batch.legal.size() - batch.legal_counts[2] + batch.chosen[2]],
            rollout.columns[69].chosen[44]);
  EXPECT_EQ(batch.legal.size(), static_cast<std::size_t>(batch.legal_counts[0]) +
                                    batch.legal_counts[1] + batch.legal_counts[2]);
}

}  // namespace
}  // namespace keisei::train
