#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "env/environment.h"
#include "net/evaluator.h"
#include "train/progress_meter.h"
#include "train/rollout.h"
#include "train/workers.h"

namespace keisei::train {

/// Games that share one forward pass. Fixed, so that results do not depend on the workers.
inline constexpr int kGroupGames = 64;

struct SelfPlaySettings {
  int games = 128;      // N >= 1
  int max_plies = 512;  // then the game is a draw by rule; the observation shows the ply
  /// A game begins with 0..this many uniformly random plies, not learned from; the first one of
  /// each slot with 0..max_plies - 1, so that the slots do not all reach their ends at the same
  /// time.
  int random_plies = 20;
  std::uint64_t seed = 1;
};

/// Games that ended, since the object was made or restored.
struct GameStatistics {
  std::int64_t games = 0;
  std::int64_t plies = 0;  // of those games, random ones included
  std::array<std::int64_t, shogi::kEndingCount> endings{};

  void add(const GameStatistics& other);
};

/// One game slot for a checkpoint: enough to stand there again.
struct GameState {
  std::string start_sfen;
  std::vector<shogi::Move> moves;
  std::uint64_t draws = 0;  // position of the slot's random numbers

  friend bool operator==(const GameState&, const GameState&) = default;
};

/// N games against themselves, played by sampling from the policy.
///   environment -> observation -> Evaluator -> legal softmax -> sample -> apply -> Rollout
/// Each slot draws from its own random numbers (seed, slot), so a rollout is a pure function of
/// weights, seed and states, whatever the workers do.
class SelfPlay {
 public:
  explicit SelfPlay(const SelfPlaySettings& settings);

  /// Plays `plies` plies in every slot into `rollout`. `evaluators` has one entry per worker. False
  /// when `stop` was requested on the way: then the rollout is of no use, and the games stand
  /// somewhere in it; the same after a failure, which is an evaluator's, or logits that are not
  /// finite.
  [[nodiscard]] Result<bool> collect(Workers& workers, std::span<net::Evaluator* const> evaluators,
                                     int plies, Rollout& rollout, const std::stop_token& stop);

  [[nodiscard]] std::vector<GameState> states() const;
  /// Fails where the number of slots differs or a game cannot be replayed.
  Result<void> restore(const std::vector<GameState>& states);

  /// Of the last collect.
  [[nodiscard]] const GameStatistics& last_games() const { return last_games_; }
  /// Plies are added here while collecting; the training thread's phases are shown on it.
  void show_on(ProgressMeter* meter) { meter_ = meter; }

 private:
  struct GroupBuffers;

  [[nodiscard]] int groups() const;
  void begin_game(int game, int most_random_plies);
  Result<bool> play_group(int worker, int group, net::Evaluator& evaluator, GroupBuffers& buffers);
  Result<void> evaluate(int worker, int group, net::Evaluator& evaluator, GroupBuffers& buffers);
  Result<void> play_ply(int game, std::span<const float> policy, GroupBuffers& buffers);
  void tick(int worker, telemetry::Phase phase);

  SelfPlaySettings settings_;
  env::Environment environment_;
  std::vector<Rng> random_;  // per slot
  GameStatistics last_games_;
  ProgressMeter* meter_ = nullptr;
};

/// Replaces log-probabilities and values of `rollout` by those of `evaluators` (one per worker),
/// for a rollout that another evaluator played: PPO's ratio must start at one.
/// Fails as collect does.
[[nodiscard]] Result<void> judge_again(Workers& workers,
                                       std::span<net::Evaluator* const> evaluators,
                                       Rollout& rollout);

}  // namespace keisei::train
