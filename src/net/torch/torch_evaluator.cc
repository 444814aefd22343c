#include "net/torch/torch_evaluator.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "net/torch/network.h"
#include "net/torch/planes.h"

namespace keisei::net {

TorchEvaluator::TorchEvaluator(std::shared_ptr<const Network> network)
    : network_(std::move(network)) {}
TorchEvaluator::~TorchEvaluator() = default;

Result<std::unique_ptr<TorchEvaluator>> TorchEvaluator::create(const WeightsView& weights) {
  std::vector<float> flat;
  for (const std::span<const float> tensor : weights.tensors) {
    flat.insert(flat.end(), tensor.begin(), tensor.end());
  }
  try {
    return std::make_unique<TorchEvaluator>(
        std::make_shared<const Network>(weights.spec, flat_copy(flat), false));
  } catch (const c10::Error& error) {
    return fail("LibTorch cannot run a {} network: {}", to_string(weights.spec),
                error.what_without_backtrace());
  }
}

Result<void> TorchEvaluator::evaluate(std::span<const env::Observation> observations,
                                      std::span<float> policy_logits, std::span<float> wdl_logits) {
  KEISEI_CHECK(!observations.empty() &&
                   policy_logits.size() == observations.size() * kPolicyLogits &&
                   wdl_logits.size() == observations.size() * kWdlLogits,
               "{} observations, {} policy and {} WDL logits", observations.size(),
               policy_logits.size(), wdl_logits.size());
  return caught("judging positions", [&] {
    const c10::InferenceMode inference;
    const Network::Output output = network_->forward(planes_of(observations, network_->device()));
    const at::Tensor policy = output.policy.cpu();
    const at::Tensor wdl = output.wdl.cpu();
    std::copy_n(policy.data_ptr<float>(), policy_logits.size(), policy_logits.data());
    std::copy_n(wdl.data_ptr<float>(), wdl_logits.size(), wdl_logits.data());
  });
}

}  // namespace keisei::net
