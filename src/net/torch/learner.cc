#include "net/torch/learner.h"

#include <malloc.h>
#include <torch/cuda.h>
#include <torch/torch.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "net/torch/network.h"
#include "net/torch/planes.h"
#include "net/torch/torch_evaluator.h"

namespace keisei::net {
namespace {

// Fills the places of a legal list that are not used. Not infinity: 0 * inf would be NaN.
constexpr float kImpossible = -1e9F;

/// By default malloc maps each activation afresh and unmaps it after use: the page faults take a
/// quarter of the training time (b2c32: 2.5 k instead of 3.8 k samples/s on one core).
void keep_large_blocks() {
  constexpr int kLargestBlock = 32 << 20;  // what malloc accepts
  constexpr int kKeptAtTop = 512 << 20;
  ::mallopt(M_MMAP_THRESHOLD, kLargestBlock);
  ::mallopt(M_TRIM_THRESHOLD, kKeptAtTop);
  ::mallopt(M_TOP_PAD, 16 << 20);
}

/// The legal lists as a rectangle [B][longest].
struct LegalTable {
  at::Tensor actions;  // int64; 0 where there is none
  at::Tensor unused;   // bool
};

LegalTable legal_table(const MicroBatch& batch, at::Device device) {
  const auto rows = static_cast<std::int64_t>(batch.size());
  const std::int64_t longest = *std::ranges::max_element(batch.legal_counts);
  LegalTable table{.actions = at::zeros({rows, longest}, at::kLong),
                   .unused = at::ones({rows, longest}, at::kBool)};
  auto* actions = table.actions.data_ptr<std::int64_t>();
  auto* unused = table.unused.data_ptr<bool>();
  const env::Action* next = batch.legal.data();
  for (const std::uint16_t count : batch.legal_counts) {
    std::copy_n(next, count, actions);
    std::fill_n(unused, count, false);
    next += count;
    actions += longest;
    unused += longest;
  }
  return {.actions = table.actions.to(device), .unused = table.unused.to(device)};
}

/// [size] float32 on the CPU, a view.
at::Tensor view_of(std::span<const float> values) {
  return at::from_blob(const_cast<float*>(values.data()),  // read only
                       {static_cast<std::int64_t>(values.size())}, at::kFloat);
}

at::Tensor column(const std::vector<float>& values, at::Device device) {
  return view_of(values).to(device);
}

at::Tensor chosen_column(const MicroBatch& batch, at::Device device) {
  at::Tensor chosen = at::empty({static_cast<std::int64_t>(batch.size()), 1}, at::kLong);
  std::ranges::copy(batch.chosen, chosen.data_ptr<std::int64_t>());
  return chosen.to(device);
}

struct Loss {
  at::Tensor total;  // scalar, differentiable
  LossSums sums;
};

Loss ppo_loss(const Network::Output& output, const MicroBatch& batch, const LossWeights& weights) {
  const at::Device device = output.policy.device();
  const LegalTable table = legal_table(batch, device);
  const at::Tensor log_probs = at::log_softmax(
      output.policy.gather(1, table.actions).masked_fill(table.unused, kImpossible), 1);
  const at::Tensor log_ratio = log_probs.gather(1, chosen_column(batch, device)).squeeze(1) -
                               column(batch.old_log_probs, device);
  const at::Tensor ratio = log_ratio.exp();
  const at::Tensor advantage = column(batch.advantages, device);
  const at::Tensor clipped = ratio.clamp(1 - weights.clip, 1 + weights.clip);
  const at::Tensor policy = -at::min(ratio * advantage, clipped * advantage).sum();
  const at::Tensor targets =
      column(batch.wdl_targets, device).view({static_cast<std::int64_t>(batch.size()), 3});
  const at::Tensor value = -(targets * at::log_softmax(output.wdl, 1)).sum();
  const at::Tensor entropy = -(log_probs.exp() * log_probs.masked_fill(table.unused, 0.0F)).sum();
  const at::NoGradGuard no_grad;
  const at::Tensor deviation = (ratio - 1).abs();
  Loss loss;
  {
    const at::AutoGradMode grad(true);
    loss.total = policy + weights.value * value - weights.entropy * entropy;
  }
  const at::Tensor sums =  // one way back from the device, not six
      at::stack({policy, value, entropy, ((ratio - 1) - log_ratio).sum(),
                 (deviation > weights.clip).sum().to(at::kFloat), deviation.max()})
          .cpu();
  const auto* sum = sums.data_ptr<float>();
  loss.sums = {.policy = sum[0],
               .value = sum[1],
               .entropy = sum[2],
               .kl = sum[3],
               .clipped = sum[4],
               .farthest = sum[5],
               .samples = static_cast<std::int64_t>(batch.size())};
  return loss;
}

Result<void> check_device(Device device) {
  if (device == Device::Cpu || torch::cuda::is_available()) {
    return {};
  }
  return usage_error(
      "LibTorch finds no CUDA device: {}, or set training.device to \"cpu\"",
      at::hasCUDA()
          ? "look whether `nvidia-smi` shows one and whether CUDA_VISIBLE_DEVICES hides it"
          : "this keisei-train is built with a LibTorch for the CPU; build it with one for CUDA "
            "(cmake -DCMAKE_PREFIX_PATH=<its folder>)");
}

}  // namespace

class TorchLearner::Impl {
 public:
  Impl(const NetSpec& network_spec, std::span<const float> initial, int workers, at::Device device)
      : spec(network_spec),
        flat(flat_copy(initial, device)),
        weights(flat.cpu()),
        network(std::make_shared<const Network>(spec, flat, true)),
        adam({flat}, torch::optim::AdamOptions().eps(kAdamEpsilon)) {
    for (int worker = 0; worker < workers; ++worker) {
      evaluators.push_back(std::make_unique<TorchEvaluator>(network));
    }
    reset_adam(at::zeros_like(flat), at::zeros_like(flat), 0);
  }

  void reset_adam(at::Tensor first, at::Tensor second, std::int64_t steps) {
    auto state = std::make_unique<torch::optim::AdamParamState>();
    state->exp_avg(std::move(first));
    state->exp_avg_sq(std::move(second));
    state->step(steps);
    adam.state()[c10::guts::to_string(flat.unsafeGetTensorImpl())] = std::move(state);
  }

  [[nodiscard]] const torch::optim::AdamParamState& adam_state() const {
    const auto& states = adam.state();
    return static_cast<const torch::optim::AdamParamState&>(
        *states.at(c10::guts::to_string(flat.unsafeGetTensorImpl())));
  }

  void bring_weights_back() {
    if (!flat.is_cpu()) {
      weights.copy_(flat);
    }
  }

  NetSpec spec;
  at::Tensor flat;     // the weights; the network's parameters are views of it
  at::Tensor weights;  // on the CPU: `flat` itself, or the copy that bring_weights_back refreshes
  at::Tensor first_moment, second_moment;  // what optimiser() showed last; on the CPU Adam's own
  std::shared_ptr<const Network> network;
  torch::optim::Adam adam;
  std::vector<std::unique_ptr<TorchEvaluator>> evaluators;
};

TorchLearner::TorchLearner(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TorchLearner::~TorchLearner() = default;

Result<std::unique_ptr<TorchLearner>> TorchLearner::create(const NetSpec& spec,
                                                           std::span<const float> weights,
                                                           int workers, Device device) {
  KEISEI_CHECK(workers >= 1, "{} workers", workers);
  KEISEI_CHECK(weights.size() == static_cast<std::size_t>(parameter_count(spec)),
               "{} weights for {}", weights.size(), to_string(spec));
  keep_large_blocks();
  KEISEI_TRY_VOID(check_device(device));
  try {
    auto learner = std::unique_ptr<TorchLearner>(new TorchLearner(std::make_unique<Impl>(
        spec, weights, workers, device == Device::Cuda ? at::kCUDA : at::kCPU)));
    learner->enter_thread();
    return learner;
  } catch (const c10::Error& error) {
    return fail("LibTorch cannot train a {} network: {}", to_string(spec),
                error.what_without_backtrace());
  }
}

const NetSpec& TorchLearner::spec() const { return impl_->spec; }

void TorchLearner::enter_thread() {
  // The setting is the thread's own, and its default is one thread per core.
  at::set_num_threads(1);
}

Evaluator& TorchLearner::evaluator(int worker) {
  return *impl_->evaluators.at(static_cast<std::size_t>(worker));
}

Result<LossSums> TorchLearner::gradient(const MicroBatch& batch, const LossWeights& weights,
                                        std::span<float> gradient) {
  KEISEI_CHECK(batch.size() > 0, "an empty micro-batch");
  LossSums sums;
  KEISEI_TRY_VOID(caught("computing a gradient", [&] {
    const Network& network = *impl_->network;
    const Loss loss =
        ppo_loss(network.forward(planes_of(batch.observations, network.device())), batch, weights);
    // Not backward(): that would add up in the parameters, which the workers share.
    std::vector<at::Tensor> parts = torch::autograd::grad({loss.total}, network.parameters());
    std::ranges::transform(parts, parts.begin(), [](const at::Tensor& p) { return p.flatten(); });
    const at::Tensor whole = at::cat(parts);
    KEISEI_CHECK(whole.numel() == std::ssize(gradient), "{} of {} gradients", whole.numel(),
                 gradient.size());
    at::from_blob(gradient.data(), {whole.numel()}, at::kFloat).copy_(whole);
    sums = loss.sums;
  }));
  return sums;
}

Result<void> TorchLearner::step(std::span<const float> gradient, double learning_rate) {
  KEISEI_CHECK(gradient.size() == weights().size(), "{} gradients", gradient.size());
  return caught("taking a step of Adam", [&] {
    static_cast<torch::optim::AdamOptions&>(impl_->adam.param_groups().front().options())
        .lr(learning_rate);
    impl_->flat.mutable_grad() = flat_copy(gradient, impl_->flat.device());
    impl_->adam.step();
    impl_->bring_weights_back();
  });
}

std::span<const float> TorchLearner::weights() const {
  return {impl_->weights.data_ptr<float>(), static_cast<std::size_t>(impl_->weights.numel())};
}

Result<OptimiserState> TorchLearner::optimiser() const {
  const torch::optim::AdamParamState& state = impl_->adam_state();
  KEISEI_TRY_VOID(caught("bringing the optimiser back from its device", [&] {
    impl_->first_moment = state.exp_avg().cpu();
    impl_->second_moment = state.exp_avg_sq().cpu();
  }));
  const std::size_t size = weights().size();
  return OptimiserState{.first_moment = {impl_->first_moment.data_ptr<float>(), size},
                        .second_moment = {impl_->second_moment.data_ptr<float>(), size},
                        .steps = state.step()};
}

Result<void> TorchLearner::restore(std::span<const float> weights,
                                   const OptimiserState& optimiser) {
  const std::size_t size = this->weights().size();
  KEISEI_CHECK(weights.size() == size && optimiser.first_moment.size() == size &&
                   optimiser.second_moment.size() == size,
               "{} weights to restore into {}", weights.size(), to_string(impl_->spec));
  return caught("restoring weights and optimiser", [&] {
    const at::Device device = impl_->flat.device();
    impl_->flat.copy_(view_of(weights));
    impl_->bring_weights_back();
    impl_->reset_adam(flat_copy(optimiser.first_moment, device),
                      flat_copy(optimiser.second_moment, device), optimiser.steps);
  });
}

}  // namespace keisei::net
