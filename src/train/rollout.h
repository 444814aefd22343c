#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "env/action_map.h"
#include "env/observation.h"
#include "net/learner.h"
#include "train/gae.h"

namespace keisei::train {

/// The plies that one game slot played in one rollout, in time order: about 300 bytes each.
struct GameColumn {
  std::vector<env::Observation> observations;  // [T]
  std::vector<env::Action> legal;              // all legal lists, one after the other
  std::vector<std::uint32_t> legal_begin;      // [T + 1] into `legal`
  std::vector<std::uint16_t> chosen;           // [T] index into the ply's own list
  std::vector<float> log_probs;                // [T] of the chosen action
  std::vector<GaeStep> steps;                  // [T]
  std::vector<GaeTarget> targets;              // [T] once finished
  env::Observation successor;                  // of the last ply, for its bootstrap

  void clear();
  [[nodiscard]] std::span<const env::Action> legal_of(std::size_t ply) const;
};

/// What an update learns from: N columns of T plies.
///   SelfPlay::collect -> finish (advantages) -> gather (micro-batches) -> Learner
struct Rollout {
  std::vector<GameColumn> columns;  // [N]
  int plies = 0;                    // T

  [[nodiscard]] std::size_t size() const {
    return columns.size() * static_cast<std::size_t>(plies);
  }
};

/// How good the values were that the rollout was played with.
struct RolloutSummary {
  double advantage_mean = 0;  // before normalising; far from 0 is an alarm in self-play
  double advantage_deviation = 0;
  double explained_variance = 0;  // 1 - var(return - value) / var(return); 0 for a constant return
};

/// Fills the targets of every column and normalises the advantages over the whole rollout:
/// (A - mean) / (deviation + 1e-8). Sums run in a fixed order.
RolloutSummary finish(Rollout& rollout, const GaeParameters& parameters);

/// Replaces `batch` by the samples named (column * T + ply, each below rollout.size()).
void gather(const Rollout& rollout, std::span<const std::uint32_t> samples, net::MicroBatch& batch);

}  // namespace keisei::train
