#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "net/learner.h"

namespace keisei::net {

/// The network as LibTorch trains it on the CPU: gradients by autograd, Adam over one flat tensor
/// whose parts the parameters are. Each thread computes on itself alone, so results do not depend
/// on how many there are.
class TorchLearner final : public Learner {
 public:
  /// Starts from `weights` [parameter_count], with a fresh optimiser and one evaluator per worker.
  /// Fails where LibTorch has no memory. Sets the process's malloc to keep large blocks.
  [[nodiscard]] static Result<std::unique_ptr<TorchLearner>> create(const NetSpec& spec,
                                                                    std::span<const float> weights,
                                                                    int workers);
  ~TorchLearner() override;

  [[nodiscard]] const NetSpec& spec() const override;
  void enter_thread() override;
  [[nodiscard]] Evaluator& evaluator(int worker) override;
  Result<LossSums> gradient(const MicroBatch& batch, const LossWeights& weights,
                            std::span<float> gradient) override;
  Result<void> step(std::span<const float> gradient, double learning_rate) override;
  [[nodiscard]] std::span<const float> weights() const override;
  [[nodiscard]] OptimiserState optimiser() const override;
  void restore(std::span<const float> weights, const OptimiserState& optimiser) override;

 private:
  class Impl;
  explicit TorchLearner(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace keisei::net
