#include "train/rollout.h"

#include <cmath>

#include "base/check.h"
#include "env/legal_actions.h"

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

/// A ply's successor is the next ply, but for the last one.
void steps_of(const GameColumn& column, std::vector<GaeStep>& steps) {
  steps.clear();
  for (std::size_t t = 0; t < column.results.size(); ++t) {
    const PlyResult& result = column.results[t];
    KEISEI_CHECK(result.end != StepEnd::Truncated, "ply {} is truncated", t);
    steps.push_back({.reward = static_cast<float>(result.reward),
                     .end = result.end,
                     .wdl = column.wdl[t],
                     .next_wdl = column.wdl[t + 1]});
  }
}

}  // namespace

void GameColumn::begin(std::size_t plies) {
  observations.clear();
  observations.reserve(plies);
  chosen.clear();
  chosen.reserve(plies);
  log_probs.clear();
  log_probs.reserve(plies);
  results.clear();
  results.reserve(plies);
  wdl.clear();
  wdl.reserve(plies + 1);
  targets.clear();
  targets.reserve(plies);
}

RolloutSummary finish(Rollout& rollout, const GaeParameters& parameters) {
  Moments advantages;
  Moments returns;
  std::vector<GaeStep> steps;
  for (GameColumn& column : rollout.columns) {
    steps_of(column, steps);
    column.targets.resize(steps.size());
    estimate_advantages(steps, parameters, column.targets);
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
    const env::LegalActions legal(column.observations[ply]);
    batch.observations.push_back(column.observations[ply]);
    batch.legal.insert(batch.legal.end(), legal.begin(), legal.end());
    batch.legal_counts.push_back(static_cast<std::uint16_t>(legal.size()));
    batch.chosen.push_back(static_cast<std::uint16_t>(legal.index_of(column.chosen[ply])));
    batch.old_log_probs.push_back(column.log_probs[ply]);
    const GaeTarget& target = column.targets[ply];
    batch.advantages.push_back(target.advantage);
    batch.wdl_targets.insert(batch.wdl_targets.end(), target.wdl.begin(), target.wdl.end());
  }
}

}  // namespace keisei::train
