// Trains from scratch and plays the result against uniformly random moves.
//
//   learning_vs_random [--plies 250000] [--games 200] [--net b2c32] [--seed 1] ...
//
// Prints a line for every third update, then wins, draws, losses and the score of the sampled
// policy. Exits with 3 when the score is below --require.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <string>

#include "env/environment.h"
#include "net/policy.h"
#include "net/torch/learner.h"
#include "train/trainer.h"

namespace keisei {
namespace {

struct Arguments {
  std::int64_t plies = 250'000;
  int games = 200;
  std::string net = "b2c32";
  std::uint64_t seed = 1;
  int evaluation_max_plies = 512;
  double require = 0.6;
  train::TrainerSettings settings;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  train::TrainerSettings& settings = arguments.settings;
  settings.self_play.max_plies = 320;  // more games end than with 512
  CLI::App app("Learning from scratch, measured against random moves");
  app.add_option("--plies", arguments.plies);
  app.add_option("--games", arguments.games);
  app.add_option("--net", arguments.net);
  app.add_option("--seed", arguments.seed);
  app.add_option("--evaluation-max-plies", arguments.evaluation_max_plies);
  app.add_option("--require", arguments.require);
  app.add_option("--environments", settings.self_play.games);
  app.add_option("--max-plies", settings.self_play.max_plies);
  app.add_option("--random-plies", settings.self_play.random_plies);
  app.add_option("--rollout-steps", settings.rollout_plies);
  app.add_option("--epochs", settings.epochs);
  app.add_option("--minibatch", settings.minibatch);
  app.add_option("--lambda", settings.gae.lambda);
  app.add_option("--gamma", settings.gae.gamma);
  app.add_option("--learning-rate", settings.schedule.learning_rate_start);
  app.add_option("--final-learning-rate", settings.schedule.learning_rate_end);
  app.add_option("--entropy-start", settings.schedule.entropy_start);
  app.add_option("--entropy-end", settings.schedule.entropy_end);
  app.add_option("--kl-stop", settings.kl_stop);
  app.add_option("--workers", settings.workers);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  }
  settings.self_play.seed = arguments.seed;
  settings.schedule.total_steps = arguments.plies;
  return arguments;
}

struct Score {
  int wins = 0;
  int draws = 0;
  int losses = 0;

  [[nodiscard]] int games() const { return wins + draws + losses; }
  [[nodiscard]] double mean() const { return (wins + 0.5 * draws) / games(); }
};

/// All games at once; the agent moves first in every other one.
class Match {
 public:
  Match(net::Evaluator& agent, const Arguments& arguments)
      : agent_(agent),
        games_(arguments.games),
        environment_(arguments.games, {.max_plies = arguments.evaluation_max_plies}),
        random_(arguments.seed, stream_of(Purpose::Game, 0)) {}

  Result<Score> play() {
    std::vector<int> running;
    for (int game = 0; game < games_; ++game) {
      running.push_back(game);
    }
    for (int ply = 0; !running.empty(); ++ply) {
      std::vector<int> agents;
      for (const int game : running) {
        if ((game + ply) % 2 == 0) {
          agents.push_back(game);
        }
      }
      KEISEI_TRY_VOID(play_agent(agents));
      for (const int game : running) {
        if ((game + ply) % 2 != 0) {
          const auto legal = environment_.legal_actions(game);
          finish(game,
                 environment_.apply(game,
                                    legal[random_.below(static_cast<std::uint32_t>(legal.size()))]),
                 -1);
        }
      }
      std::erase_if(running, [this](int game) {
        return environment_.verdict(game).ending != shogi::Ending::None;
      });
    }
    return score_;
  }

 private:
  Result<void> play_agent(const std::vector<int>& games) {
    if (games.empty()) {
      return {};
    }
    std::vector<env::Observation> observations(games.size());
    environment_.observe(games, observations);
    std::vector<float> policy(games.size() * net::kPolicyLogits);
    std::vector<float> wdl(games.size() * net::kWdlLogits);
    KEISEI_TRY_VOID(agent_.evaluate(observations, policy, wdl));
    for (std::size_t i = 0; i < games.size(); ++i) {
      const auto legal = environment_.legal_actions(games[i]);
      std::vector<float> log_probs(legal.size());
      KEISEI_TRY_VOID(net::legal_log_softmax(
          std::span(policy).subspan(i * net::kPolicyLogits, net::kPolicyLogits), legal, log_probs));
      const env::Action action = legal[net::sample_index(log_probs, random_.uniform())];
      finish(games[i], environment_.apply(games[i], action), 1);
    }
    return {};
  }

  void finish(int /*game*/, const env::StepResult& result, int mover) {
    if (!result.terminal) {
      return;
    }
    const double score = result.reward * static_cast<float>(mover);
    score_.wins += score > 0 ? 1 : 0;
    score_.draws += score == 0 ? 1 : 0;
    score_.losses += score < 0 ? 1 : 0;
  }

  net::Evaluator& agent_;
  int games_;
  env::Environment environment_;
  Rng random_;
  Score score_;
};

void print(const telemetry::UpdateRecord& record) {
  fmt::print(
      "step {:7} games {:5} policy {:+.4f} value {:.4f} entropy {:.3f} kl {:.4f} clipped {:.3f} "
      "explained {:+.3f} gradient {:.3f} plies/game {:.0f} {:.0f} plies/s\n",
      record.step, record.games, record.policy_loss, record.value_loss, record.entropy,
      record.approx_kl, record.clip_fraction, record.explained_variance, record.gradient_norm,
      record.mean_game_plies, record.steps_per_second);
  std::fflush(stdout);
}

Result<Score> run(const Arguments& arguments) {
  KEISEI_TRY(spec, net::parse_net_spec(arguments.net));
  KEISEI_TRY(learner, net::TorchLearner::create(spec, net::initial_weights(spec, arguments.seed),
                                                arguments.settings.workers));
  train::Trainer trainer(arguments.settings, {.learner = *learner});
  const MonotonicTime begin = MonotonicClock::now();
  while (trainer.counters().step < arguments.plies) {
    KEISEI_TRY(record, trainer.update(std::stop_token()));
    if (record && (record->update % 3 == 0 || record->step >= arguments.plies)) {
      print(*record);
    }
  }
  const double elapsed = seconds(MonotonicClock::now() - begin);
  fmt::print("trained {} plies in {:.1f} s, {:.0f} plies/s, update included\n",
             trainer.counters().step, elapsed,
             static_cast<double>(trainer.counters().step) / elapsed);
  return Match(learner->evaluator(0), arguments).play();
}

int learning_vs_random(const Arguments& arguments) {
  const Result<Score> score = run(arguments);
  if (!score) {
    fmt::print(stderr, "{}\n", score.error().message);
    return score.error().kind == ErrorKind::Usage ? 2 : 1;
  }
  fmt::print("against random, {} games, sampled policy: {} wins {} draws {} losses, score {:.3f}\n",
             score->games(), score->wins, score->draws, score->losses, score->mean());
  return score->mean() >= arguments.require ? 0 : 3;
}

}  // namespace
}  // namespace keisei

int main(int argc, char** argv) { return keisei::learning_vs_random(keisei::parse(argc, argv)); }
