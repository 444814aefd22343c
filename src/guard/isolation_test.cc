#include "guard/isolation_test.h"

#include <fmt/format.h>

#include <algorithm>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr TrialPlan kPlan = {.limit = 0.99,  // nothing of it is anybody's training
                             .always_slack = true,
                             .warm_up = 50ms,
                             .alone = 850ms,  // four frames for the reference
                             .beside = 1600ms,
                             .after = 0ms};
constexpr double kIsolates = 0.1;
constexpr std::int64_t kFewestBlocks = 2;

}  // namespace

Isolation isolation_of(const TrialEvidence& evidence) {
  if (!evidence.trouble.empty()) {
    return {std::nullopt, "not tested: " + evidence.trouble, evidence.interrupted_by.has_value()};
  }
  const ImpactEstimate& impact = evidence.impact;
  if (impact.blocks < kFewestBlocks) {
    return {std::nullopt, "not tested: other processes kept the processors busy", false};
  }
  const double loss = std::clamp(impact.while_running.estimate, 0.0, 1.0);
  return {loss,
          fmt::format("at the lowest weight a spinning evaluation takes {:.0f} % from a "
                      "training on every core: {}",
                      100 * loss, loss < kIsolates ? "it isolates" : "it does NOT isolate"),
          false};
}

Isolation test_isolation() {
  auto ground = ProvingGround::make({});
  if (!ground) {
    return {std::nullopt, "not tested: " + ground.error().message, false};
  }
  return isolation_of(try_training(*ground, kPlan));
}

}  // namespace keisei::guard
