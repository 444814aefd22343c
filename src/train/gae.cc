#include "train/gae.h"

#include <utility>

#include "base/check.h"

namespace keisei::train {
namespace {

/// The result as a distribution.
Wdl certain(float reward) {
  if (reward > 0) {
    return {1, 0, 0};
  }
  return reward < 0 ? Wdl{0, 0, 1} : Wdl{0, 1, 0};
}

Wdl mix(const Wdl& a, const Wdl& b, float share_of_b) {
  Wdl result{};
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i] = (1 - share_of_b) * a[i] + share_of_b * b[i];
  }
  return result;
}

}  // namespace

void estimate_advantages(std::span<const GaeStep> steps, const GaeParameters& parameters,
                         std::span<GaeTarget> targets) {
  KEISEI_CHECK(steps.size() == targets.size(), "{} steps, {} targets", steps.size(),
               targets.size());
  const auto [gamma, lambda] = parameters;
  for (std::size_t t = steps.size(); t-- > 0;) {
    const GaeStep& step = steps[t];
    const float value = value_of(step.wdl);
    if (step.end == StepEnd::Terminal) {
      targets[t] = {.advantage = step.reward - value, .wdl = certain(step.reward)};
      continue;
    }
    const bool trace_goes_on = step.end == StepEnd::Continues && t + 1 < steps.size();
    const float discount = static_cast<float>(step.sigma) * gamma;
    targets[t].advantage = discount * value_of(step.next_wdl) - value;
    Wdl ahead = step.next_wdl;
    if (trace_goes_on) {
      targets[t].advantage += discount * lambda * targets[t + 1].advantage;
      ahead = mix(step.next_wdl, targets[t + 1].wdl, lambda);
    }
    if (step.sigma < 0) {
      std::swap(ahead[0], ahead[2]);
    }
    targets[t].wdl = mix(ahead, {0, 1, 0}, 1 - gamma);
  }
}

}  // namespace keisei::train
