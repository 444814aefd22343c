#include "train/trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "base/clock.h"

namespace keisei::train {
namespace {

using telemetry::Phase;

/// Fisher and Yates, by numbers that only seed, update and epoch determine.
std::vector<std::uint32_t> shuffled(std::size_t size, Rng random) {
  std::vector<std::uint32_t> order(size);
  std::iota(order.begin(), order.end(), 0U);
  for (std::size_t i = size; i > 1; --i) {
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  }
  return order;
}

double mean_of(double sum, std::int64_t count) {
  return count > 0 ? sum / static_cast<double>(count) : 0;
}

}  // namespace

struct Trainer::Learning {
  net::LossWeights weights;
  double learning_rate = 0;
  net::LossSums sums;
  double gradient_norm = 0;  // sum over minibatches
  std::int64_t minibatches = 0;
};

struct Trainer::Times {
  MonotonicTime begin;
  MonotonicTime collected = {};
  MonotonicTime learned = {};
};

Trainer::Trainer(const TrainerSettings& settings, const TrainerParts& parts)
    : settings_(settings),
      parts_(parts),
      workers_(settings.workers, [&learner = parts.learner] { learner.enter_thread(); }),
      meter_(parts.clock),
      self_play_(settings.self_play) {
  const int micros = (settings.minibatch + settings.micro_batch - 1) / settings.micro_batch;
  const std::size_t parameters = parts.learner.weights().size();
  batches_.resize(static_cast<std::size_t>(micros));
  micro_gradients_.assign(static_cast<std::size_t>(micros), std::vector<float>(parameters));
  gradient_.resize(parameters);
  self_play_.show_on(&meter_);
}

std::vector<net::Evaluator*> Trainer::learner_evaluators() {
  std::vector<net::Evaluator*> evaluators;
  evaluators.reserve(static_cast<std::size_t>(workers_.count()));
  for (int worker = 0; worker < workers_.count(); ++worker) {
    evaluators.push_back(&parts_.learner.evaluator(worker));
  }
  return evaluators;
}

Result<bool> Trainer::collect(const std::stop_token& stop) {
  if (!parts_.make_evaluator) {
    return self_play_.collect(workers_, learner_evaluators(), settings_.rollout_plies, rollout_,
                              stop);
  }
  std::vector<std::unique_ptr<net::Evaluator>> owned;
  std::vector<net::Evaluator*> evaluators;
  const auto workers = static_cast<std::size_t>(workers_.count());
  owned.reserve(workers);
  evaluators.reserve(workers);
  for (std::size_t worker = 0; worker < workers; ++worker) {
    owned.push_back(parts_.make_evaluator(parts_.learner));
    evaluators.push_back(owned.back().get());
  }
  KEISEI_TRY(complete,
             self_play_.collect(workers_, evaluators, settings_.rollout_plies, rollout_, stop));
  if (complete) {
    KEISEI_TRY_VOID(judge_again(workers_, learner_evaluators(), rollout_));
  }
  return complete;
}

Result<std::optional<telemetry::UpdateRecord>> Trainer::update(const std::stop_token& stop) {
  const std::vector<GameState> before = self_play_.states();
  Times times{.begin = MonotonicClock::now()};
  KEISEI_TRY(complete, collect(stop));
  if (!complete) {
    const Result<void> restored = self_play_.restore(before);
    KEISEI_CHECK(restored, "{}", restored.error().message);
    meter_.set(static_cast<std::uint64_t>(counters_.step));
    meter_.tick(Phase::Idle);
    return std::nullopt;
  }
  const RolloutSummary summary = finish(rollout_, settings_.gae);
  times.collected = MonotonicClock::now();
  Learning learning;
  KEISEI_TRY_VOID(learn(learning, stop));
  times.learned = MonotonicClock::now();
  const std::int64_t previous_step = counters_.step;
  counters_.step += static_cast<std::int64_t>(rollout_.size());
  counters_.update += 1;
  counters_.games += self_play_.last_games().games;
  const telemetry::UpdateRecord record = record_of(learning, summary, times);
  for (Callback* callback : parts_.callbacks) {
    meter_.tick(Phase::EvaluationSnapshot);
    callback->on_step_end({.previous_step = previous_step,
                           .step = counters_.step,
                           .spec = parts_.learner.spec(),
                           .weights = parts_.learner.weights(),
                           .update = record});
  }
  return record;
}

telemetry::UpdateRecord Trainer::record_of(const Learning& learning, const RolloutSummary& summary,
                                           const Times& times) const {
  const GameStatistics& games = self_play_.last_games();
  const net::LossSums& sums = learning.sums;
  return {.step = counters_.step,
          .update = counters_.update,
          .games = counters_.games,
          .policy_loss = mean_of(sums.policy, sums.samples),
          .value_loss = mean_of(sums.value, sums.samples),
          .entropy = mean_of(sums.entropy, sums.samples),
          .approx_kl = mean_of(sums.kl, sums.samples),
          .clip_fraction = mean_of(sums.clipped, sums.samples),
          .explained_variance = summary.explained_variance,
          .gradient_norm = mean_of(learning.gradient_norm, learning.minibatches),
          .learning_rate = learning.learning_rate,
          .steps_per_second =
              static_cast<double>(rollout_.size()) / seconds(times.learned - times.begin),
          .mean_game_plies = games.games > 0
                                 ? mean_of(static_cast<double>(games.plies), games.games)
                                 : std::numeric_limits<double>::quiet_NaN(),
          .rollout_seconds = seconds(times.collected - times.begin),
          .update_seconds = seconds(times.learned - times.collected),
          .wall = std::chrono::system_clock::now()};
}

Result<void> Trainer::learn(Learning& learning, const std::stop_token& stop) {
  learning.weights = {.clip = settings_.clip,
                      .value = settings_.value_coefficient,
                      .entropy = settings_.schedule.entropy(counters_.step)};
  learning.learning_rate = settings_.schedule.learning_rate(counters_.step);
  for (int epoch = 0; epoch < settings_.epochs; ++epoch) {
    KEISEI_TRY(goes_on, learn_epoch(epoch, learning, stop));
    if (!goes_on) {
      break;
    }
  }
  return {};
}

/// False when the update must end here.
Result<bool> Trainer::learn_epoch(int epoch, Learning& learning, const std::stop_token& stop) {
  const std::uint64_t round =
      static_cast<std::uint64_t>(counters_.update) * static_cast<std::uint64_t>(settings_.epochs) +
      static_cast<std::uint64_t>(epoch);
  const std::vector<std::uint32_t> order =
      shuffled(rollout_.size(), Rng(settings_.self_play.seed, stream_of(Purpose::Shuffle, round)));
  std::span<const std::uint32_t> rest(order);
  while (!rest.empty()) {
    meter_.tick(Phase::Update);
    const std::size_t size = std::min(rest.size(), static_cast<std::size_t>(settings_.minibatch));
    KEISEI_TRY(sums, learn_minibatch(rest.first(size), learning));
    rest = rest.subspan(size);
    if (learning.minibatches == 1) {
      first_ratio_deviation_ = sums.farthest;
    }
    if (stop.stop_requested() || kl_exceeds(mean_of(sums.kl, sums.samples), settings_.kl_stop)) {
      return false;
    }
  }
  return true;
}

Result<net::LossSums> Trainer::learn_minibatch(std::span<const std::uint32_t> samples,
                                               Learning& learning) {
  KEISEI_TRY(sums, sum_gradients(samples, learning.weights));
  const auto count = static_cast<double>(samples.size());
  double squares = 0;
  for (const float value : gradient_) {
    squares += static_cast<double>(value) * value;
  }
  const double norm = std::sqrt(squares) / count;
  if (!std::isfinite(norm)) {
    return fail(
        "the gradient is not finite in update {} after {} steps: training has diverged and stops "
        "here; go on from the last checkpoint with a lower training.learning_rate",
        counters_.update + 1, counters_.step);
  }
  const auto scale = static_cast<float>(clip_factor(norm, settings_.gradient_clip) / count);
  for (float& value : gradient_) {
    value *= scale;
  }
  KEISEI_TRY_VOID(parts_.learner.step(gradient_, learning.learning_rate));
  learning.sums.add(sums);
  learning.gradient_norm += norm;
  learning.minibatches += 1;
  return sums;
}

/// Into gradient_, micro-batch by micro-batch in their order.
Result<net::LossSums> Trainer::sum_gradients(std::span<const std::uint32_t> samples,
                                             const net::LossWeights& weights) {
  const auto micro = static_cast<std::size_t>(settings_.micro_batch);
  const std::size_t micros = (samples.size() + micro - 1) / micro;
  std::vector<net::LossSums> losses(micros);
  KEISEI_TRY_VOID(workers_.run(static_cast<int>(micros), [&](int, int item) -> Result<void> {
    const auto i = static_cast<std::size_t>(item);
    const std::size_t begin = i * micro;
    gather(rollout_, samples.subspan(begin, std::min(micro, samples.size() - begin)), batches_[i]);
    KEISEI_TRY(sums, parts_.learner.gradient(batches_[i], weights, micro_gradients_[i]));
    losses[i] = sums;
    return {};
  }));
  std::ranges::fill(gradient_, 0.0F);
  net::LossSums sums;
  for (std::size_t i = 0; i < micros; ++i) {
    sums.add(losses[i]);
    for (std::size_t p = 0; p < gradient_.size(); ++p) {
      gradient_[p] += micro_gradients_[i][p];
    }
  }
  return sums;
}

Result<void> Trainer::restore(const Counters& counters, const std::vector<GameState>& games) {
  KEISEI_TRY_VOID(self_play_.restore(games));
  counters_ = counters;
  meter_.set(static_cast<std::uint64_t>(counters.step));
  return {};
}

}  // namespace keisei::train
