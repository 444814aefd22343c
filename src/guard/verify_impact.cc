#include "guard/verify_impact.h"

#include <fmt/format.h>

#include <algorithm>

namespace keisei::guard {
namespace {

constexpr double kTimesTheLimit = 5;
constexpr double kMostAttacked = 0.5;
constexpr int kTries = 3;
constexpr double kDisturbed = 0.1;  // share of frames

}  // namespace

Finding prove_impact(ProvingGround& ground, double limit) {
  for (int attempt = 1;; ++attempt) {
    const TrialEvidence evidence = attack_training(ground, limit);
    Finding finding = judge(evidence);
    if (finding.proof != Proof::NotProven || evidence.disturbed() < kDisturbed) {
      return finding;
    }
    if (attempt == kTries) {
      return {Proof::NotRun, "other processes kept this host busy; " + finding.sentence};
    }
  }
}

Finding judge(const TrialEvidence& evidence) {
  if (!evidence.trouble.empty()) {
    return {Proof::NotRun, evidence.trouble};
  }
  const ImpactEstimate& impact = evidence.impact;
  const std::string numbers = fmt::format(
      "{} evaluations ran for {:.1f} of {:.0f} s; of the training's rate {:.1f} % was lost (limit "
      "{:.0f} %), the certificate: at most {:.1f} %",
      evidence.ended, impact.running_s, impact.training_s, 100 * evidence.loss(),
      100 * evidence.limit, 100 * impact.amortised.upper);
  if (evidence.rate_before <= 0 || impact.running_s <= 0) {
    return {Proof::NotRun, "no evaluation came to run beside the training; " + numbers};
  }
  if (evidence.loss() >= evidence.limit) {
    return {Proof::NotProven, "more was lost than may be; " + numbers};
  }
  if (impact.verdict != ImpactVerdict::Within) {
    return {Proof::NotProven, fmt::format("the certificate says {}: {}; {}",
                                          to_string(impact.verdict), impact.reason, numbers)};
  }
  return {Proof::Proven, numbers};
}

TrialEvidence attack_training(ProvingGround& ground, double limit) {
  return try_training(ground, {.limit = std::min(kMostAttacked, kTimesTheLimit * limit)});
}

}  // namespace keisei::guard
