#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "guard/proving_ground.h"
#include "guard/training_impact.h"

// A training of our own on every core, and one spinning evaluation after the other beside it, all
// of them down the production road.
namespace keisei::guard {

struct TrialPlan {
  double limit = 0.05;        ///< share of the training that may be lost
  bool always_slack = false;  ///< evaluations never get their full weight
  std::chrono::milliseconds warm_up{1000};
  std::chrono::milliseconds alone{3000};   ///< watched, with nothing beside it
  std::chrono::milliseconds beside{9000};  ///< with evaluations
};

/// What was seen. The rates are those of the training's own step clock, looked at from outside.
struct TrialEvidence {
  double limit = 0;        ///< share of the training
  double rate_before = 0;  ///< steps per second, when nothing ran beside it
  double rate_beside = 0;  ///< the same while evaluations asked without a pause
  ImpactEstimate impact = {};
  int ended = 0;  ///< evaluations
  int frames = 0;
  std::optional<int> interrupted_by = {};  ///< SIGINT or SIGTERM
  std::string trouble = {};                ///< why it could not be tried; empty: it was

  /// Of the frames, those in which other processes used the processors more or less than usual.
  [[nodiscard]] double disturbed() const;
  [[nodiscard]] double loss() const { return rate_before > 0 ? 1 - rate_beside / rate_before : 0; }
};

/// Blocks until all of it is over. SIGINT and SIGTERM end it early, as everything on the ground.
[[nodiscard]] TrialEvidence try_training(ProvingGround& ground, const TrialPlan& plan);

}  // namespace keisei::guard
