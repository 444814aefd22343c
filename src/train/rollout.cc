#include "train/rollout.h"

#include <cmath>

namespace keisei::train {
namespace {

struct Moments {
  double count = 0;
  double sum = 0;
  double squares = 0;

  void add(double x) {
    count += 1;
    sum += x;
    squares += x * x;
  }
  [[nodiscard]] double mean() const { return count > 0 ? sum / count : 0; }
  [[nodiscard]] double variance() const {
    return count > 0 ? std::max(0.0, squares / count - mean() * mean()) : 0;
  }
};

}  // namespace

void GameColumn::clear() {
  observations.clear();
  legal.clear();
  legal_begin.assign(1, 0);
  chosen.clear();
  log_probs.clear();
  steps.clear();
  targets.clear();
}

std::span<const env::Action> GameColumn::legal_of(std::size_t ply) const {
  return std::span(legal).subspan(legal_begin[ply], legal_begin[ply + 1] - legal_begin[ply]);
}

RolloutSummary finish(Rollout& rollout, const GaeParameters& parameters) {
  Moments advantages;
  Moments returns;
  for (GameColumn& column : rollout.columns) {
    column.targets.resize(column.steps.size());
    estimate_advantages(column.steps, parameters, column.targets);
    for (const GaeTarget& target : column.targets) {
      advantages.add(target.advantage);
      returns.add(value_of(target.wdl));
    }
  }
  const double mean = advantages.mean();
  const double deviation = std::sqrt(advantages.variance());
  for (GameColumn& column : rollout.columns) {
    for (GaeTarget& target : column.targets) {
      target.advantage = static_cast<float>((target.advantage - mean) / (deviation + 1e-8));
    }
  }
  const double unexplained = advantages.variance();  // return - value is the advantage
  return {
      .advantage_mean = mean,
      .advantage_deviation = deviation,
      .explained_variance = returns.variance() > 0 ? 1 - unexplained / returns.variance() : 0.0};
}

void gather(const Rollout& rollout, std::span<const std::uint32_t> samples,
            net::MicroBatch& batch) {
  batch.clear();
  const auto plies = static_cast<std::uint32_t>(rollout.plies);
  for (const std::uint32_t sample : samples) {
    const GameColumn& column = rollout.columns[sample / plies];
    const std::size_t ply = sample % plies;
    const std::span<const env::Action> legal = column.legal_of(ply);
    batch.observations.push_back(column.observations[ply]);
    batch.legal.insert(batch.legal.end(), legal.begin(), legal.end());
    batch.legal_counts.push_back(static_cast<std::uint16_t>(legal.size()));
    batch.chosen.push_back(column.chosen[ply]);
    batch.old_log_probs.push_back(column.log_probs[ply]);
    const GaeTarget& target = column.targets[ply];
    batch.advantages.push_back(target.advantage);
    batch.wdl_targets.insert(batch.wdl_targets.end(), target.wdl.begin(), target.wdl.end());
  }
}

}  // namespace keisei::train
