#include "net/torch/learner.h"

#include <malloc.h>
#include <torch/torch.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "net/torch/network.h"
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

LegalTable legal_table(const MicroBatch& batch) {
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
  return table;
}

at::Tensor column(const std::vector<float>& values) {
  return at::from_blob(const_cast<float*>(values.data()),  // read only
                       {static_cast<std::int64_t>(values.size())}, at::kFloat);
}

at::Tensor chosen_column(const MicroBatch& batch) {
  at::Tensor chosen = at::empty({static_cast<std::int64_t>(batch.size()), 1}, at::kLong);
  std::ranges::copy(batch.chosen, chosen.data_ptr<std::int64_t>());
  return chosen;
}

struct Loss {
  at::Tensor total;  // scalar, differentiable
  LossSums sums;
};

Loss ppo_loss(const Network::Output& output, const MicroBatch& batch, const LossWeights& weights) {
  const LegalTable table = legal_table(batch);
  const at::Tensor log_probs = at::log_softmax(
      output.policy.gather(1, table.actions).masked_fill(table.unused, kImpossible), 1);
  const at::Tensor log_ratio =
      log_probs.gather(1, chosen_column(batch)).squeeze(1) - column(batch.old_log_probs);
  const at::Tensor ratio = log_ratio.exp();
  const at::Tensor advantage = column(batch.advantages);
  const at::Tensor clipped = ratio.clamp(1 - weights.clip, 1 + weights.clip);
  const at::Tensor policy = -at::min(ratio * advantage, clipped * advantage).sum();
  const at::Tensor targets =
      column(batch.wdl_targets).view({static_cast<std::int64_t>(batch.size()), 3});
  const at::Tensor value = -(targets * at::log_softmax(output.wdl, 1)).sum();
  const at::Tensor entropy = -(log_probs.exp() * log_probs.masked_fill(table.unused, 0.0F)).sum();
  const at::NoGradGuard no_grad;
  const at::Tensor deviation = (ratio - 1).abs();
  Loss loss;
  {
    const at::AutoGradMode grad(true);
    loss.total = policy + weights.value * value - weights.entropy * entropy;
  }
  loss.sums = {.policy = policy.item<double>(),
               .value = value.item<double>(),
               .entropy = entropy.item<double>(),
               .kl = ((ratio - 1) - log_ratio).sum().item<double>(),
               .clipped = (deviation > weights.clip).sum().item<double>(),
               .farthest = deviation.max().item<double>(),
               .samples = static_cast<std::int64_t>(batch.size())};
  return loss;
}

}  // namespace

class TorchLearner::Impl {
 public:
  Impl(const NetSpec& network_spec, std::span<const float> initial, int workers)
      : spec(network_spec),
        flat(flat_copy(initial)),
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

  NetSpec spec;
  at::Tensor flat;  // the weights; the network's parameters are views of it
  std::shared_ptr<const Network> network;
  torch::optim::Adam adam;
  std::vector<std::unique_ptr<TorchEvaluator>> evaluators;
};

TorchLearner::TorchLearner(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TorchLearner::~TorchLearner() = default;

Result<std::unique_ptr<TorchLearner>> TorchLearner::create(const NetSpec& spec,
                                                           std::span<const float> weights,
                                                           int workers) {
  KEISEI_CHECK(workers >= 1, "{} workers", workers);
  KEISEI_CHECK(weights.size() == static_cast<std::size_t>(parameter_count(spec)),
               "{} weights for {}", weights.size(), to_string(spec));
  keep_large_blocks();
  try {
    auto learner = std::unique_ptr<TorchLearner>(
        new TorchLearner(std::make_unique<Impl>(spec, weights, workers)));
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
    const Loss loss = ppo_loss(network.forward(planes_of(batch.observations)), batch, weights);
    // Not backward(): that would add up in the parameters, which the workers share.
    const std::vector<at::Tensor> parts = torch::autograd::grad({loss.total}, network.parameters());
    std::size_t offset = 0;
    for (const at::Tensor& part : parts) {
      const at::Tensor dense = part.contiguous();
      const auto count = static_cast<std::size_t>(dense.numel());
      std::copy_n(dense.data_ptr<float>(), count, gradient.subspan(offset, count).data());
      offset += count;
    }
    KEISEI_CHECK(offset == gradient.size(), "{} of {} gradients", offset, gradient.size());
    sums = loss.sums;
  }));
  return sums;
}

Result<void> TorchLearner::step(std::span<const float> gradient, double learning_rate) {
  KEISEI_CHECK(gradient.size() == weights().size(), "{} gradients", gradient.size());
  return caught("taking a step of Adam", [&] {
    static_cast<torch::optim::AdamOptions&>(impl_->adam.param_groups().front().options())
        .lr(learning_rate);
    impl_->flat.mutable_grad() = flat_copy(gradient);
    impl_->adam.step();
  });
}

std::span<const float> TorchLearner::weights() const {
  return {impl_->flat.data_ptr<float>(), static_cast<std::size_t>(impl_->flat.numel())};
}

OptimiserState TorchLearner::optimiser() const {
  const torch::optim::AdamParamState& state = impl_->adam_state();
  const std::size_t size = weights().size();
  return {.first_moment = {state.exp_avg().data_ptr<float>(), size},
          .second_moment = {state.exp_avg_sq().data_ptr<float>(), size},
          .steps = state.step()};
}

void TorchLearner::restore(std::span<const float> weights, const OptimiserState& optimiser) {
  const std::size_t size = this->weights().size();
  KEISEI_CHECK(weights.size() == size && optimiser.first_moment.size() == size &&
                   optimiser.second_moment.size() == size,
               "{} weights to restore into {}", weights.size(), to_string(impl_->spec));
  std::ranges::copy(weights, impl_->flat.data_ptr<float>());
  impl_->reset_adam(flat_copy(optimiser.first_moment), flat_copy(optimiser.second_moment),
                    optimiser.steps);
}

}  // namespace keisei::net
