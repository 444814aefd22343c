#include "train/self_play.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "env/legal_actions.h"
#include "net/policy.h"

namespace keisei::train {
namespace {

using telemetry::Phase;

Wdl wdl_at(std::span<const float> logits, std::size_t row) {
  return net::wdl_probabilities(logits.subspan(row * net::kWdlLogits).first<net::kWdlLogits>());
}

}  // namespace

/// What one group needs while it plays.
struct SelfPlay::GroupBuffers {
  Rollout& rollout;
  const std::stop_token& stop;
  std::vector<int> games = {};                      // of this group
  std::vector<env::Observation> observations = {};  // [G]
  std::vector<float> policy = {};                   // [G][2187] logits
  std::vector<float> wdl = {};                      // [G][3] logits
  std::vector<float> log_probs = {};                // of one position
  GameStatistics statistics = {};
};

void GameStatistics::add(const GameStatistics& other) {
  games += other.games;
  plies += other.plies;
  for (std::size_t i = 0; i < endings.size(); ++i) {
    endings[i] += other.endings[i];
  }
}

SelfPlay::SelfPlay(const SelfPlaySettings& settings)
    : settings_(settings),
      environment_(settings.games, shogi::GameRules{.max_plies = settings.max_plies}) {
  for (int game = 0; game < settings.games; ++game) {
    random_.emplace_back(settings.seed,
                         stream_of(Purpose::SelfPlay, static_cast<std::uint64_t>(game)));
    begin_game(game, settings.max_plies - 1);
  }
}

int SelfPlay::groups() const { return (settings_.games + kGroupGames - 1) / kGroupGames; }

void SelfPlay::begin_game(int game, int most_random_plies) {
  Rng& random = random_[static_cast<std::size_t>(game)];
  environment_.reset(game);
  std::uint32_t plies = random.below(static_cast<std::uint32_t>(most_random_plies) + 1);
  while (plies > 0) {
    const std::span<const env::Action> legal = environment_.legal_actions(game);
    const env::Action action = legal[random.below(static_cast<std::uint32_t>(legal.size()))];
    --plies;
    if (environment_.apply(game, action).terminal) {
      environment_.reset(game);
    }
  }
}

Result<bool> SelfPlay::collect(Workers& workers, std::span<net::Evaluator* const> evaluators,
                               int plies, Rollout& rollout, const std::stop_token& stop) {
  KEISEI_CHECK(evaluators.size() == static_cast<std::size_t>(workers.count()),
               "{} evaluators for {} workers", evaluators.size(), workers.count());
  rollout.plies = plies;
  rollout.columns.resize(static_cast<std::size_t>(settings_.games));
  std::vector<GameStatistics> statistics(static_cast<std::size_t>(groups()));
  std::atomic<bool> complete = true;
  KEISEI_TRY_VOID(workers.run(groups(), [&](int worker, int group) -> Result<void> {
    GroupBuffers buffers{.rollout = rollout, .stop = stop};
    KEISEI_TRY(whole,
               play_group(worker, group, *evaluators[static_cast<std::size_t>(worker)], buffers));
    if (!whole) {
      complete = false;
    }
    statistics[static_cast<std::size_t>(group)] = buffers.statistics;
    return {};
  }));
  last_games_ = {};
  for (const GameStatistics& group : statistics) {
    last_games_.add(group);
  }
  return complete;
}

Result<bool> SelfPlay::play_group(int worker, int group, net::Evaluator& evaluator,
                                  GroupBuffers& buffers) {
  const int begin = group * kGroupGames;
  const int end = std::min(begin + kGroupGames, settings_.games);
  for (int game = begin; game < end; ++game) {
    buffers.games.push_back(game);
    buffers.rollout.columns[static_cast<std::size_t>(game)].begin(
        static_cast<std::size_t>(buffers.rollout.plies));
  }
  buffers.observations.resize(buffers.games.size());
  buffers.policy.resize(buffers.games.size() * net::kPolicyLogits);
  buffers.wdl.resize(buffers.games.size() * net::kWdlLogits);
  for (int ply = 0; ply < buffers.rollout.plies; ++ply) {
    if (buffers.stop.stop_requested()) {
      return false;
    }
    KEISEI_TRY_VOID(evaluate(worker, group, evaluator, buffers));
    for (std::size_t i = 0; i < buffers.games.size(); ++i) {
      GameColumn& column = buffers.rollout.columns[static_cast<std::size_t>(buffers.games[i])];
      column.observations.push_back(buffers.observations[i]);
      column.wdl.push_back(wdl_at(buffers.wdl, i));
      KEISEI_TRY_VOID(play_ply(
          buffers.games[i],
          std::span(buffers.policy).subspan(i * net::kPolicyLogits, net::kPolicyLogits), buffers));
    }
    if (meter_ != nullptr) {
      meter_->add(buffers.games.size());
    }
  }
  KEISEI_TRY_VOID(evaluate(worker, group, evaluator, buffers));
  for (std::size_t i = 0; i < buffers.games.size(); ++i) {
    GameColumn& column = buffers.rollout.columns[static_cast<std::size_t>(buffers.games[i])];
    column.successor = buffers.observations[i];
    column.wdl.push_back(wdl_at(buffers.wdl, i));
  }
  return true;
}

Result<void> SelfPlay::evaluate(int worker, int group, net::Evaluator& evaluator,
                                GroupBuffers& buffers) {
  tick(worker, Phase::RolloutEnvironment);
  KEISEI_CHECK(buffers.games.front() == group * kGroupGames, "group {} has lost its games", group);
  environment_.observe(buffers.games, buffers.observations);
  tick(worker, Phase::RolloutInference);
  KEISEI_TRY_VOID(evaluator.evaluate(buffers.observations, buffers.policy, buffers.wdl));
  tick(worker, Phase::RolloutEnvironment);
  return {};
}

Result<void> SelfPlay::play_ply(int game, std::span<const float> policy, GroupBuffers& buffers) {
  GameColumn& column = buffers.rollout.columns[static_cast<std::size_t>(game)];
  const std::span<const env::Action> legal = environment_.legal_actions(game);
  buffers.log_probs.resize(legal.size());
  KEISEI_TRY_VOID(net::legal_log_softmax(policy, legal, buffers.log_probs));
  const std::size_t index =
      net::sample_index(buffers.log_probs, random_[static_cast<std::size_t>(game)].uniform());
  column.chosen.push_back(legal[index]);
  column.log_probs.push_back(buffers.log_probs[index]);
  const env::StepResult result = environment_.apply(game, legal[index]);
  column.results.push_back({.reward = static_cast<std::int8_t>(result.reward),
                            .end = result.terminal ? StepEnd::Terminal : StepEnd::Continues});
  if (result.terminal) {
    buffers.statistics.games += 1;
    buffers.statistics.plies += environment_.ply(game);
    buffers.statistics.endings[static_cast<std::size_t>(result.ending)] += 1;
    begin_game(game, settings_.random_plies);
  }
  return {};
}

void SelfPlay::tick(int worker, Phase phase) {
  if (worker == 0 && meter_ != nullptr) {
    meter_->tick(phase);
  }
}

std::vector<GameState> SelfPlay::states() const {
  std::vector<GameState> states;
  for (int game = 0; game < settings_.games; ++game) {
    const std::span<const shogi::Move> moves = environment_.moves(game);
    states.push_back({.start_sfen = environment_.start_sfen(game),
                      .moves = {moves.begin(), moves.end()},
                      .draws = random_[static_cast<std::size_t>(game)].position()});
  }
  return states;
}

Result<void> SelfPlay::restore(const std::vector<GameState>& states) {
  if (states.size() != static_cast<std::size_t>(settings_.games)) {
    return fail("the checkpoint holds {} games, but training.environments is {}: keep it as it was",
                states.size(), settings_.games);
  }
  for (int game = 0; game < settings_.games; ++game) {
    const GameState& state = states[static_cast<std::size_t>(game)];
    if (auto replayed = environment_.replay(game, state.start_sfen, state.moves); !replayed) {
      return with_context(std::move(replayed).error(),
                          fmt::format("replaying game {} of the checkpoint", game));
    }
    random_[static_cast<std::size_t>(game)].seek(state.draws);
  }
  return {};
}

Result<void> judge_again(Workers& workers, std::span<net::Evaluator* const> evaluators,
                         Rollout& rollout) {
  return workers.run(
      static_cast<int>(rollout.columns.size()), [&](int worker, int item) -> Result<void> {
        GameColumn& column = rollout.columns[static_cast<std::size_t>(item)];
        std::vector<env::Observation> observations = column.observations;
        observations.push_back(column.successor);
        std::vector<float> policy(observations.size() * net::kPolicyLogits);
        std::vector<float> wdl(observations.size() * net::kWdlLogits);
        KEISEI_TRY_VOID(
            evaluators[static_cast<std::size_t>(worker)]->evaluate(observations, policy, wdl));
        std::vector<float> log_probs;
        for (std::size_t t = 0; t < column.chosen.size(); ++t) {
          const env::LegalActions legal(observations[t]);
          log_probs.resize(legal.size());
          KEISEI_TRY_VOID(net::legal_log_softmax(
              std::span(policy).subspan(t * net::kPolicyLogits, net::kPolicyLogits), legal,
              log_probs));
          column.log_probs[t] = log_probs[legal.index_of(column.chosen[t])];
        }
        for (std::size_t t = 0; t < observations.size(); ++t) {
          column.wdl[t] = wdl_at(wdl, t);
        }
        return {};
      });
}

}  // namespace keisei::train
