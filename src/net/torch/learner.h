#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "net/learner.h"

namespace keisei::net {

enum class Device : std::uint8_t { Cpu, Cuda };

/// The network as LibTorch trains it: gradients by autograd, Adam over one flat tensor whose parts
/// the parameters are. On the CPU each thread computes on itself alone, so results do not depend on
/// how many there are. On a CUDA device (the first that CUDA_VISIBLE_DEVICES leaves) lie weights
/// and optimiser; packed observations go there and logits, gradients and weights come back, and
/// results agree with the CPU's up to rounding.
class TorchLearner final : public Learner {
 public:
  /// Starts from `weights` [parameter_count], with a fresh optimiser and one evaluator per worker.
  /// Fails where LibTorch has no memory, or no such device (a usage error). Sets the process's
  /// malloc to keep large blocks.
  [[nodiscard]] static Result<std::unique_ptr<TorchLearner>> create(const NetSpec& spec,
                                                                    std::span<const float> weights,
                                                                    int workers,
                                                                    Device device = Device::Cpu);
  ~TorchLearner() override;

  [[nodiscard]] const NetSpec& spec() const override;
  void enter_thread() override;
  [[nodiscard]] Evaluator& evaluator(int worker) override;
  Result<LossSums> gradient(const MicroBatch& batch, const LossWeights& weights,
                            std::span<float> gradient) override;
  Result<void> step(std::span<const float> gradient, double learning_rate) override;
  [[nodiscard]] std::span<const float> weights() const override;
  [[nodiscard]] Result<OptimiserState> optimiser() const override;
  Result<void> restore(std::span<const float> weights, const OptimiserState& optimiser) override;

 private:
  class Impl;
  explicit TorchLearner(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace keisei::net
