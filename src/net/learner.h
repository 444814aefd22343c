#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "env/action_map.h"
#include "env/observation.h"
#include "net/evaluator.h"
#include "net/spec.h"

namespace keisei::net {

/// Samples of one micro-batch, B of them, gathered from a rollout.
struct MicroBatch {
  std::vector<env::Observation> observations;  // [B]
  std::vector<env::Action> legal;              // the samples' legal lists, one after the other
  std::vector<std::uint16_t> legal_counts;     // [B]
  std::vector<std::uint16_t> chosen;           // [B] index into the sample's own list
  std::vector<float> old_log_probs;            // [B] of the chosen action when it was chosen
  std::vector<float> advantages;               // [B] normalised
  std::vector<float> wdl_targets;              // [B][3] probabilities

  [[nodiscard]] std::size_t size() const { return observations.size(); }
  void clear();
};

/// Coefficients of the PPO loss (Schulman et al. 2017, eq. 7 and 9):
///   -min(r A, clip(r, 1 - clip, 1 + clip) A) + value * CE(target, wdl) - entropy * H
struct LossWeights {
  double clip = 0.2;
  double value = 1.0;
  double entropy = 0.01;
};

/// Sums over the samples of one or more micro-batches, to be divided by their number.
struct LossSums {
  double policy = 0;
  double value = 0;     // cross-entropy, nats
  double entropy = 0;   // over legal actions, nats
  double kl = 0;        // (r - 1) - log r (Schulman 2020, «k3»), never negative
  double clipped = 0;   // samples whose ratio left the clip range
  double farthest = 0;  // largest |r - 1|, not a sum
  std::int64_t samples = 0;

  void add(const LossSums& other);
};

/// Of Adam. Mean gradients of this network are small: 1e-5, as some PPO programs have it, is above
/// the median sqrt(second moment) of most tensors of the tower and would keep them from learning.
inline constexpr double kAdamEpsilon = 1e-8;

/// The optimiser's memory, as a checkpoint keeps it. Views of the learner's own.
struct OptimiserState {
  std::span<const float> first_moment;   // [parameter_count]
  std::span<const float> second_moment;  // [parameter_count]
  std::int64_t steps = 0;
};

/// A network that learns. Weights and gradients are flat float32 in the order of tensor_table.
///   MicroBatch -> gradient (any worker) -> sum -> step -> weights
/// `evaluator(w)` and `gradient` may run on different threads at the same time; `step` and
/// `restore` alone. Results do not depend on the thread that asks.
class Learner {
 public:
  Learner() = default;
  Learner(const Learner&) = delete;
  Learner& operator=(const Learner&) = delete;
  virtual ~Learner() = default;

  [[nodiscard]] virtual const NetSpec& spec() const = 0;

  /// Makes the calling thread ready: it computes on itself alone from now on.
  virtual void enter_thread() = 0;

  /// The forward pass with the current weights, the very function that `gradient` derives. One per
  /// worker, 0 <= worker < workers.
  [[nodiscard]] virtual Evaluator& evaluator(int worker) = 0;

  /// Overwrites `gradient` [parameter_count] with that of the loss summed over `batch`, not
  /// averaged. Fails where the library that computes does.
  [[nodiscard]] virtual Result<LossSums> gradient(const MicroBatch& batch,
                                                  const LossWeights& weights,
                                                  std::span<float> gradient) = 0;

  /// One step of Adam (Kingma and Ba 2015) with kAdamEpsilon. REQUIRES: a finite gradient. After a
  /// failure the weights may be of no use.
  [[nodiscard]] virtual Result<void> step(std::span<const float> gradient,
                                          double learning_rate) = 0;

  /// In the process's own memory, as of the last `step` or `restore`.
  [[nodiscard]] virtual std::span<const float> weights() const = 0;
  /// Valid until the next call of any of these. Fails where the library cannot bring it back from
  /// its device.
  [[nodiscard]] virtual Result<OptimiserState> optimiser() const = 0;
  /// Copies. All spans are [parameter_count]. Fails where the library does; then the learner is of
  /// no more use.
  [[nodiscard]] virtual Result<void> restore(std::span<const float> weights,
                                             const OptimiserState& optimiser) = 0;
};

}  // namespace keisei::net
