#pragma once

#include <memory>

#include "base/result.h"
#include "net/evaluator.h"
#include "net/snapshot.h"

namespace keisei::net {

/// The network on CPU through oneDNN, without LibTorch: float32, equal to the learner's forward
/// within 1e-4.
///   observations -> planes -> convolutions (channels last) -> policy and WDL logits
/// Batches are padded to 8, 16, 32 or 64 and larger ones cut into 64, each size with its own
/// primitives, made when it is first seen (about 1 ms a layer).
class OneDnnEvaluator final : public Evaluator {
 public:
  /// Copies what it needs of `weights`. Computes on `threads` OpenMP threads of whichever thread
  /// calls evaluate. Fails where oneDNN has no kernel or no memory.
  [[nodiscard]] static Result<std::unique_ptr<OneDnnEvaluator>> create(const WeightsView& weights,
                                                                       int threads = 1);
  ~OneDnnEvaluator() override;

  Result<void> evaluate(std::span<const env::Observation> observations,
                        std::span<float> policy_logits, std::span<float> wdl_logits) override;

 private:
  class Impl;
  explicit OneDnnEvaluator(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace keisei::net
