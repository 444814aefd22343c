#include "guard/verify_impact.h"

#include <fmt/format.h>

#include <algorithm>

namespace keisei::guard {
namespace {

constexpr double kTimesTheLimit = 5;
constexpr double kMostAttacked = 0.5;
constexpr int kTries = 3;
constexpr double kDisturbed = 0.1;  // share of frames

bool compares(const TrialEvidence& evidence) {
  return evidence.trouble.empty() && evidence.rate_before > 0 && evidence.rate_after > 0 &&
         evidence.impact.running_s > 0;
}

}  // namespace

Finding prove_impact(ProvingGround& ground, double limit) {
  return prove_impact([&ground, limit] { return attack_training(ground, limit); });
}

Finding prove_impact(const std::function<TrialEvidence()>& attack) {
  for (int attempt = 1;; ++attempt) {
    const TrialEvidence evidence = attack();
    Finding finding = judge(evidence);
    const bool busy = finding.proof == Proof::NotProven && evidence.disturbed() >= kDisturbed;
    const bool changed = finding.proof == Proof::NotRun && compares(evidence);
    if (!busy && !changed) {
      return finding;
    }
    if (attempt == kTries) {
      return busy ? Finding{Proof::NotRun,
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
  const std::string ran = fmt::format("{} evaluations ran for {:.1f} of {:.0f} s", evidence.ended,
                                      impact.running_s, impact.training_s);
  if (evidence.rate_before <= 0 || impact.running_s <= 0) {
    return {Proof::NotRun, "no evaluation came to run beside the training; " + ran};
  }
  if (evidence.rate_after <= 0) {
    return {Proof::NotProven, "the training did not go on when evaluations had ended; " + ran};
  }
  const std::string numbers = fmt::format(
      "{}; of the training {:.1f} % was lost (limit {:.0f} %), the certificate: at most {:.1f} %",
      ran, 100 * evidence.loss(), 100 * evidence.limit, 100 * impact.amortised.upper);
  if (evidence.least_loss() >= evidence.limit) {
    return {Proof::NotProven, "more was lost than may be; " + numbers};
  }
  Finding refused = {Proof::NotProven,
                     fmt::format("the certificate says {}: {}; {}", to_string(impact.verdict),
                                 impact.reason, numbers)};
  if (impact.verdict == ImpactVerdict::Exceeded) {
    return refused;
  }
  if (evidence.most_loss() >= evidence.limit) {
    return {Proof::NotRun,
            fmt::format("this host changed its own speed: alone the training made {:.0f} steps a "
                        "second before, and {:.0f} afterwards; {}",
                        evidence.rate_before, evidence.rate_after, numbers)};
  }
  return impact.verdict == ImpactVerdict::Within ? Finding{Proof::Proven, numbers} : refused;
}

TrialEvidence attack_training(ProvingGround& ground, double limit) {
  return try_training(ground, {.limit = std::min(kMostAttacked, kTimesTheLimit * limit)});
}

}  // namespace keisei::guard
