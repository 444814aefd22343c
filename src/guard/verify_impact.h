#pragma once

#include <functional>

#include "guard/proving_ground.h"
#include "guard/training_trial.h"
#include "guard/verify.h"

// The row of `keisei verify` about training impact: a training on every core, and one spinning
// evaluation after the other beside it.
namespace keisei::guard {

/// Proven where the certificate and the rates both say that less than the limit was lost, and
/// evaluations really ran. NotRun where the training's own speed, before and after, decides. Pure.
[[nodiscard]] Finding judge(const TrialEvidence& evidence);

/// Blocks for about 16 s. Five times the configured `limit` is attacked, so that seconds prove it.
[[nodiscard]] TrialEvidence attack_training(ProvingGround& ground, double limit);

/// The same, judged; again, three times at most, where it is not proven and other processes were
/// busy meanwhile, or where this host changed its own speed. NotRun where they always did.
[[nodiscard]] Finding prove_impact(ProvingGround& ground, double limit);
/// With another attack.
[[nodiscard]] Finding prove_impact(const std::function<TrialEvidence()>& attack);

}  // namespace keisei::guard
