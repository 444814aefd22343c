#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "env/action_map.h"
#include "env/observation.h"
#include "net/learner.h"
#include "train/gae.h"

namespace keisei::train {

/// How a ply went.
struct PlyResult {
  std::int8_t reward = 0;  // -1, 0 or +1 to the mover; 0 while the game goes on
  StepEnd end = StepEnd::Continues;
};

/// The plies that one game slot played in one rollout, in time order: kPlyBytes each. Legal lists
/// are not kept: env::LegalActions makes them anew from the observation.
struct GameColumn {
  std::vector<env::Observation> observations;  // [T]
  std::vector<env::Action> chosen;             // [T]
  std::vector<float> log_probs;                // [T] of the chosen action
  std::vector<PlyResult> results;              // [T]
  std::vector<Wdl> wdl;                        // [T + 1] as judged, the last of the successor
  std::vector<GaeTarget> targets;              // [T] once finished
  env::Observation successor;                  // of the last ply, for its bootstrap

  /// Forgets everything and makes room for `plies`.
  void begin(std::size_t plies);
};

inline constexpr std::size_t kPlyBytes = sizeof(env::Observation) + sizeof(env::Action) +
                                         sizeof(float) + sizeof(PlyResult) + sizeof(Wdl) +
                                         sizeof(GaeTarget);
static_assert(kPlyBytes <= 300);

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
/// (A - mean) / (deviation + 1e-8). Sums run in a fixed order. REQUIRES: no ply is Truncated, whose
/// true successor its column does not have; self-play ends games by rule only.
RolloutSummary finish(Rollout& rollout, const GaeParameters& parameters);

/// Replaces `batch` by the samples named (column * T + ply, each below rollout.size()), with their
/// legal lists.
void gather(const Rollout& rollout, std::span<const std::uint32_t> samples, net::MicroBatch& batch);

}  // namespace keisei::train
