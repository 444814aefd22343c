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
  std::chrono::milliseconds after{3000};   ///< alone again: the machine may have changed its speed

  /// Of the time that the governor watches.
  [[nodiscard]] double share_beside() const {
    return static_cast<double>(beside.count()) / static_cast<double>((alone + beside).count());
  }
};

/// What was seen. The rates are those of the training's own step clock, looked at from outside.
struct TrialEvidence {
  double limit = 0;         ///< share of the training
  double rate_before = 0;   ///< steps per second, when nothing ran beside it
  double rate_beside = 0;   ///< the same while evaluations asked without a pause
  double rate_after = 0;    ///< and when they had ended
  double share_beside = 1;  ///< see TrialPlan
  ImpactEstimate impact = {};
  int ended = 0;  ///< evaluations
  int frames = 0;
  std::optional<int> interrupted_by = {};  ///< SIGINT or SIGTERM
  std::string trouble = {};                ///< why it could not be tried; empty: it was

  /// Of the frames, those in which other processes used the processors more or less than usual.
  [[nodiscard]] double disturbed() const;
  /// Share of all the time watched, as the limit is meant: against the mean of the rates alone, the
  /// slower of them, the faster. REQUIRES: both are positive.
  [[nodiscard]] double loss() const;
  [[nodiscard]] double least_loss() const;
  [[nodiscard]] double most_loss() const;

 private:
  [[nodiscard]] double loss_against(double rate) const;
};

/// Blocks until all of it is over. SIGINT and SIGTERM end it early, as everything on the ground.
[[nodiscard]] TrialEvidence try_training(ProvingGround& ground, const TrialPlan& plan);

}  // namespace keisei::guard
