#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "net/learner.h"
#include "net/snapshot.h"
#include "telemetry/records.h"
#include "train/callback.h"
#include "train/progress_meter.h"
#include "train/rollout.h"
#include "train/schedule.h"
#include "train/self_play.h"
#include "train/workers.h"

namespace keisei::train {

struct TrainerSettings {
  SelfPlaySettings self_play;
  int rollout_plies = 64;  // T
  int epochs = 2;
  int minibatch = 512;
  int micro_batch = 128;  // fixed, and summed in order: results do not depend on the workers
  int workers = 2;
  GaeParameters gae;
  double clip = 0.2;
  double value_coefficient = 1.0;
  double gradient_clip = 1.0;  // Euclidean norm of the mean gradient
  double kl_stop = 0.03;
  Schedule schedule;
};

/// What a trainer works with. All of it must live longer.
struct TrainerParts {
  net::Learner& learner;
  telemetry::StepClockWriter* clock = nullptr;  // may be null
  std::vector<Callback*> callbacks = {};
  /// Makes an evaluator for the weights given, to play rollouts with; the log-probabilities and
  /// values are then taken again from the learner. Empty: the learner's own plays.
  std::function<std::unique_ptr<net::Evaluator>(const net::Learner& learner)> make_evaluator = {};
};

/// Where training stands, beside the weights and the optimiser.
struct Counters {
  std::int64_t step = 0;    // plies trained
  std::int64_t update = 0;  // updates done
  std::int64_t games = 0;   // games ended

  friend bool operator==(const Counters&, const Counters&) = default;
};

/// PPO by self-play (Schulman et al. 2017).
///   SelfPlay -> Rollout -> finish -> micro-batches -> Learner -> callbacks
/// The outcome is a pure function of settings, weights and states; the number of workers does not
/// enter. One thread, plus the workers it owns.
class Trainer {
 public:
  Trainer(const TrainerSettings& settings, const TrainerParts& parts);

  /// One rollout and what is learned from it. Nothing when `stop` was requested during the rollout:
  /// then the games are back where the rollout began. A stop during the learning ends it with the
  /// minibatch at work; the update counts. Fails where learner or evaluators do, and where logits
  /// or the gradient are not finite, which is never stepped with: then the trainer is of no more
  /// use and nothing of it may be saved.
  [[nodiscard]] Result<std::optional<telemetry::UpdateRecord>> update(const std::stop_token& stop);

  [[nodiscard]] const Counters& counters() const { return counters_; }
  [[nodiscard]] ProgressMeter& meter() { return meter_; }
  /// Largest |ratio - 1| in the first minibatch of the last update: rounding, or a bug.
  [[nodiscard]] double first_ratio_deviation() const { return first_ratio_deviation_; }

  /// For a checkpoint.
  [[nodiscard]] std::vector<GameState> game_states() const { return self_play_.states(); }
  /// Goes on from there. Fails where the games do not fit.
  Result<void> restore(const Counters& counters, const std::vector<GameState>& games);

 private:
  struct Learning;  // sums over one update
  struct Times;     // of one update

  Result<bool> collect(const std::stop_token& stop);
  Result<void> learn(Learning& learning, const std::stop_token& stop);
  Result<bool> learn_epoch(int epoch, Learning& learning, const std::stop_token& stop);
  Result<net::LossSums> learn_minibatch(std::span<const std::uint32_t> samples, Learning& learning);
  Result<net::LossSums> sum_gradients(std::span<const std::uint32_t> samples,
                                      const net::LossWeights& weights);
  telemetry::UpdateRecord record_of(const Learning& learning, const RolloutSummary& summary,
                                    const Times& times) const;
  std::vector<net::Evaluator*> learner_evaluators();

  TrainerSettings settings_;
  TrainerParts parts_;
  Workers workers_;
  ProgressMeter meter_;
  SelfPlay self_play_;
  Rollout rollout_;
  Counters counters_;
  double first_ratio_deviation_ = 0;
  std::vector<net::MicroBatch> batches_;             // per micro-batch of a minibatch
  std::vector<std::vector<float>> micro_gradients_;  // the same
  std::vector<float> gradient_;                      // their sum
};

}  // namespace keisei::train
