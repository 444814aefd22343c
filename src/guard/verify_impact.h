#pragma once

#include <optional>

#include "base/result.h"
#include "guard/impact_certificate.h"
#include "guard/proving_ground.h"
#include "guard/verify.h"

// The row of `keisei verify` about training impact: a training on every core, and one spinning
// evaluation after the other beside it.
namespace keisei::guard {

/// What was seen. The rates are those of the training's own step clock, looked at from outside.
struct ImpactEvidence {
  double limit = 0;        ///< share of the training
  double rate_before = 0;  ///< steps per second, when nothing ran beside it
  double rate_beside = 0;  ///< the same while evaluations asked without a pause
  ImpactEstimate impact = {};
  int ended = 0;  ///< evaluations
  int frames = 0;
  std::string trouble = {};  ///< why it could not be tried; empty: it was

  /// Of the frames, those in which other processes used the processors more or less than usual.
  [[nodiscard]] double disturbed() const;
  [[nodiscard]] double loss() const { return rate_before > 0 ? 1 - rate_beside / rate_before : 0; }
};

/// Proven where the certificate and the rates both say that less than the limit was lost, and
/// evaluations really ran. Pure.
[[nodiscard]] Finding judge(const ImpactEvidence& evidence);

/// Blocks for about 13 s. Five times the configured `limit` is attacked, so that seconds prove it.
[[nodiscard]] ImpactEvidence attack_training(ProvingGround& ground, double limit);

/// The same, judged; again, three times at most, where it is not proven and other processes were
/// busy meanwhile. NotRun where they always were.
[[nodiscard]] Finding prove_impact(ProvingGround& ground, double limit);

}  // namespace keisei::guard
