#pragma once

#include <memory>

#include "base/result.h"
#include "net/evaluator.h"
#include "net/snapshot.h"

namespace keisei::net {

class Network;

/// The network through LibTorch in inference mode, on the CPU or where the learner computes.
///   observations -> planes -> policy and WDL logits
class TorchEvaluator final : public Evaluator {
 public:
  /// Copies `weights`; computes on the CPU.
  [[nodiscard]] static Result<std::unique_ptr<TorchEvaluator>> create(const WeightsView& weights);

  /// For the inside of this module: evaluates with the weights of `network` as they stand.
  explicit TorchEvaluator(std::shared_ptr<const Network> network);
  ~TorchEvaluator() override;

  Result<void> evaluate(std::span<const env::Observation> observations,
                        std::span<float> policy_logits, std::span<float> wdl_logits) override;

 private:
  std::shared_ptr<const Network> network_;  // shared with the learner that changes its weights
};

}  // namespace keisei::net
