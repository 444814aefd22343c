#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "base/result.h"
#include "env/observation.h"

namespace keisei::net {

/// Policy planes of the network; a logit's index is an env::Action: plane * 81 + square.
inline constexpr std::size_t kPolicyLogits = 2187;
/// Win, draw, loss, as the mover sees them.
inline constexpr std::size_t kWdlLogits = 3;

/// The seam between whoever needs positions judged and whatever judges them.
///   observations [N] -> network -> policy [N][2187], WDL [N][3]
/// Not thread-safe: one evaluator per thread.
class Evaluator {
 public:
  Evaluator() = default;
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;
  virtual ~Evaluator() = default;

  /// Blocks until done. `policy_logits` is [N][2187] float32 over all actions, legal or not;
  /// `wdl_logits` is [N][3] float32 (win, draw, loss for the mover). N >= 1; both outputs have
  /// exactly that size. A position's result does not depend on the others in the batch beyond
  /// rounding. Fails where the library that computes does; does not judge the logits.
  [[nodiscard]] virtual Result<void> evaluate(std::span<const env::Observation> observations,
                                              std::span<float> policy_logits,
                                              std::span<float> wdl_logits) = 0;
};

}  // namespace keisei::net
