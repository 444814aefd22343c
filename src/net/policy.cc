#include "net/policy.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace keisei::net {

Result<void> legal_log_softmax(std::span<const float> logits, std::span<const env::Action> legal,
                               std::span<float> log_probs) {
  KEISEI_CHECK(!legal.empty() && legal.size() == log_probs.size(),
               "{} legal actions into {} places", legal.size(), log_probs.size());
  float largest = logits[legal[0]];
  for (std::size_t i = 0; i < legal.size(); ++i) {
    log_probs[i] = logits[legal[i]];
    if (!std::isfinite(log_probs[i])) {
      return fail("the network's logit of action {} is {}: its weights are of no use", legal[i],
                  log_probs[i]);
    }
    largest = std::max(largest, log_probs[i]);
  }
  double sum = 0;
  for (const float logit : log_probs) {
    sum += std::exp(logit - largest);
  }
  const float log_sum = largest + static_cast<float>(std::log(sum));
  for (float& value : log_probs) {
    value -= log_sum;
  }
  return {};
}

std::size_t sample_index(std::span<const float> log_probs, double u) {
  double sum = 0;
  std::size_t last_possible = 0;
  for (std::size_t i = 0; i < log_probs.size(); ++i) {
    const double probability = std::exp(log_probs[i]);
    if (probability > 0) {
      sum += probability;
      last_possible = i;
      if (u < sum) {
        return i;
      }
    }
  }
  return last_possible;  // the sum fell short of one by rounding
}

std::array<float, 3> wdl_probabilities(std::span<const float, 3> logits) {
  const float largest = std::max({logits[0], logits[1], logits[2]});
  std::array<float, 3> result{};
  float sum = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    result[i] = std::exp(logits[i] - largest);
    sum += result[i];
  }
  for (float& probability : result) {
    probability /= sum;
  }
  return result;
}

}  // namespace keisei::net
