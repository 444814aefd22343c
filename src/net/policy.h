#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "base/result.h"
#include "env/action_map.h"

namespace keisei::net {

/// log_probs[i] = log of the probability of legal[i], softmax over the legal actions only. `logits`
/// is [2187] float32; `legal` is not empty and as long as `log_probs`. An illegal action has no
/// entry, hence exactly no probability. Fails where a legal action's logit is not finite: such a
/// network has no policy, and no move may be made of it.
[[nodiscard]] Result<void> legal_log_softmax(std::span<const float> logits,
                                             std::span<const env::Action> legal,
                                             std::span<float> log_probs);

/// The index drawn by inverting the cumulative sum at u in [0, 1). Never an entry of zero
/// probability.
[[nodiscard]] std::size_t sample_index(std::span<const float> log_probs, double u);

/// Softmax of win, draw and loss logits.
[[nodiscard]] std::array<float, 3> wdl_probabilities(std::span<const float, 3> logits);

/// Expected result in [-1, 1]: p_win - p_loss.
[[nodiscard]] inline float expected_result(const std::array<float, 3>& wdl) {
  return wdl[0] - wdl[2];
}

}  // namespace keisei::net
