#include "guard/verify_impact.h"

#include <fmt/format.h>

#include <algorithm>

namespace keisei::guard {
namespace {

constexpr double kTimesTheLimit = 5;
constexpr double kMostAttacked = 0.5;
constexpr int kTries = 3;
constexpr double kDisturbed = 0.1;  // share of frames

bool ran(const TrialEvidence& evidence) {
  return evidence.trouble.empty() && evidence.rate_before > 0 && evidence.rate_after > 0 &&
         evidence.impact.running_s > 0;
}

}  // namespace

Finding prove_impact(ProvingGround& ground, double limit) {
  for (int attempt = 1;; ++attempt) {
    const TrialEvidence evidence = attack_training(ground, limit);
    Finding finding = judge(evidence);
    const bool disturbed = finding.proof == Proof::NotProven && evidence.disturbed() >= kDisturbed;
    const bool again = disturbed || (ran(evidence) && evidence.undecided());
    if (!again) {
      return finding;
    }
    if (attempt == kTries) {
      return disturbed ? Finding{Proof::NotRun,
                                 "other processes kept this host busy; " + finding.sentence}
                       : finding;
    }
  }
}

Finding judge(const TrialEvidence& evidence) {
  if (!evidence.trouble.empty()) {
    return {Proof::NotRun, evidence.trouble};
  }
  const ImpactEstimate& impact = evidence.impact;
  if (!ran(evidence)) {
    return {
        Proof::NotRun,
        fmt::format("no evaluation came to run beside the training; {} ended, {:.1f} of {:.0f} s",
                    evidence.ended, impact.running_s, impact.training_s)};
  }
  const std::string numbers = fmt::format(
      "{} evaluations ran for {:.1f} of {:.0f} s; of the training {:.1f} % was lost (limit {:.0f} "
      "%), the certificate: at most {:.1f} %",
      evidence.ended, impact.running_s, impact.training_s, 100 * evidence.most_loss(),
      100 * evidence.limit, 100 * impact.amortised.upper);
  if (evidence.least_loss() >= evidence.limit) {
    return {Proof::NotProven, "more was lost than may be; " + numbers};
  }
  if (evidence.undecided()) {
    return {Proof::NotRun,
            fmt::format("this host changed its own speed: alone the training made {:.0f} steps a "
                        "second, and {:.0f} afterwards; {}",
                        evidence.rate_before, evidence.rate_after, numbers)};
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
