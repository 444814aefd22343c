// What training does when it is stopped or what it works with fails.

#include <gmock/gmock.h>

#include <functional>
#include <limits>

#include "net/torch/learner.h"
#include "small_training.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

namespace keisei::train {
namespace {

using ::testing::HasSubstr;

/// Judges all alike; at its third call it does what it was made for.
class ThirdCall final : public net::Evaluator {
 public:
  explicit ThirdCall(std::function<void()> deed) : deed_(std::move(deed)) {}
  Result<void> evaluate(std::span<const env::Observation> /*observations*/, std::span<float> policy,
                        std::span<float> wdl) override {
    std::ranges::fill(policy, 0.0F);
    std::ranges::fill(wdl, 0.0F);
    if (++calls_ == 3) {
      deed_();
    }
    return {};
  }

 private:
  std::function<void()> deed_;
  int calls_ = 0;
};

TEST(Training, AStopDuringTheRolloutLeavesEverythingAsItWas) {
  std::stop_source stop;
  auto learner = std::move(*net::TorchLearner::create(kB2c32, net::initial_weights(kB2c32, 1), 1));
  Trainer trainer(small_settings(1),
                  {.learner = *learner, .make_evaluator = [&stop](const net::Learner&) {
                     return std::make_unique<ThirdCall>([&stop] { stop.request_stop(); });
                   }});
  const std::vector<std::byte> before = encode_checkpoint(*learner, trainer, "config").value();
  const auto stopped = trainer.update(stop.get_token());
  ASSERT_TRUE(stopped) << stopped.error().message;
  EXPECT_FALSE(stopped->has_value());
  EXPECT_TRUE(stop.stop_requested());
  EXPECT_EQ(encode_checkpoint(*learner, trainer, "config").value(), before);
}

/// The learner that it wraps, but for its gradients.
class BrokenLearner final : public net::Learner {
 public:
  enum class Way { Error, NotFinite };
  BrokenLearner(net::Learner& whole, Way way) : whole_(whole), way_(way) {}

  [[nodiscard]] const net::NetSpec& spec() const override { return whole_.spec(); }
  void enter_thread() override { whole_.enter_thread(); }
  [[nodiscard]] net::Evaluator& evaluator(int worker) override { return whole_.evaluator(worker); }
  Result<net::LossSums> gradient(const net::MicroBatch& batch, const net::LossWeights& weights,
                                 std::span<float> gradient) override {
    auto sums = whole_.gradient(batch, weights, gradient);
    if (way_ == Way::Error) {
      return fail("the library has no memory");
    }
    gradient[7] = std::numeric_limits<float>::quiet_NaN();
    return sums;
  }
  Result<void> step(std::span<const float> gradient, double learning_rate) override {
    return whole_.step(gradient, learning_rate);
  }
  [[nodiscard]] std::span<const float> weights() const override { return whole_.weights(); }
  [[nodiscard]] Result<net::OptimiserState> optimiser() const override {
    return whole_.optimiser();
  }
  Result<void> restore(std::span<const float> weights,
                       const net::OptimiserState& optimiser) override {
    return whole_.restore(weights, optimiser);
  }

 private:
  net::Learner& whole_;
  Way way_;
};

TEST(Training, AGradientThatIsNotThereIsNeverSteppedWith) {
  using Way = BrokenLearner::Way;
  for (const auto& [way, message] : {std::pair(Way::Error, "the library has no memory"),
                                     std::pair(Way::NotFinite, "the gradient is not finite")}) {
    auto whole = std::move(*net::TorchLearner::create(kB2c32, net::initial_weights(kB2c32, 1), 2));
    BrokenLearner learner(*whole, way);
    Trainer trainer(small_settings(2), {.learner = learner});
    const auto updated = trainer.update(std::stop_token());
    ASSERT_FALSE(updated);
    EXPECT_THAT(updated.error().message, HasSubstr(message));
    EXPECT_EQ(whole->optimiser()->steps, 0);
    EXPECT_TRUE(std::ranges::equal(whole->weights(), net::initial_weights(kB2c32, 1)));
  }
}

TEST(Training, LibTorchsExceptionsAreErrors) {
  auto learner = std::move(*net::TorchLearner::create(kB2c32, net::initial_weights(kB2c32, 1), 1));
  env::Environment environment(1, {});
  net::MicroBatch batch;
  batch.observations = {environment.observation(0)};
  batch.legal = {env::Action{60'000}};  // beyond the policy: gather throws
  batch.legal_counts = {1};
  batch.chosen = {0};
  batch.old_log_probs = {0};
  batch.advantages = {1};
  batch.wdl_targets = {1, 0, 0};
  std::vector<float> gradient(learner->weights().size());
  const auto sums = learner->gradient(batch, {}, gradient);
  ASSERT_FALSE(sums);
  EXPECT_THAT(sums.error().message, HasSubstr("LibTorch failed computing a gradient"));
}

}  // namespace
}  // namespace keisei::train
