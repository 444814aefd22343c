#include "net/torch/learner.h"

#include <gmock/gmock.h>
#include <torch/cuda.h>

#include <algorithm>
#include <cmath>

#include "env/environment.h"
#include "net/policy.h"

// What the learner computes is tested with the trainer, in tests/training_test.cc; here, where.
namespace keisei::net {
namespace {

using ::testing::HasSubstr;

constexpr NetSpec kB2c32{.blocks = 2, .channels = 32};

TEST(TorchLearner, WithoutCudaTheLearnerSaysWhatToDo) {
  if (torch::cuda::is_available()) {
    GTEST_SKIP() << "there is a CUDA device";
  }
  const auto learner = TorchLearner::create(kB2c32, initial_weights(kB2c32, 1), 1, Device::Cuda);
  ASSERT_FALSE(learner);
  EXPECT_EQ(learner.error().kind, ErrorKind::Usage);
  EXPECT_THAT(learner.error().message, HasSubstr("set training.device to \"cpu\""));
}

/// Legal moves of the positions, as if chosen at random.
MicroBatch batch_of(int size) {
  env::Environment environment(1, {});
  MicroBatch batch;
  for (int i = 0; i < size; ++i) {
    const std::span<const env::Action> legal = environment.legal_actions(0);
    batch.observations.push_back(environment.observation(0));
    batch.legal.insert(batch.legal.end(), legal.begin(), legal.end());
    batch.legal_counts.push_back(static_cast<std::uint16_t>(legal.size()));
    batch.chosen.push_back(static_cast<std::uint16_t>(5 * i % static_cast<int>(legal.size())));
    batch.old_log_probs.push_back(-std::log(static_cast<float>(legal.size())));
    batch.advantages.push_back(i % 2 == 0 ? 1.0F : -1.0F);
    batch.wdl_targets.insert(batch.wdl_targets.end(), {0.5F, 0.2F, 0.3F});
    environment.apply(0, legal[batch.chosen.back()]);
  }
  return batch;
}

double distance(std::span<const float> a, std::span<const float> b) {
  double difference = 0;
  double length = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
    length += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / length);
}

TEST(TorchLearner, OnCudaTheLearnerComputesWhatItDoesOnTheCpu) {
  if (!torch::cuda::is_available()) {
    GTEST_SKIP() << "no CUDA device, or a LibTorch without CUDA";
  }
  const std::vector<float> weights = initial_weights(kB2c32, 1);
  auto cpu = std::move(*TorchLearner::create(kB2c32, weights, 1));
  auto cuda = std::move(*TorchLearner::create(kB2c32, weights, 1, Device::Cuda));
  const MicroBatch batch = batch_of(40);
  std::vector<float> expected(weights.size());
  std::vector<float> gradient(weights.size());
  for (int step = 0; step < 3; ++step) {
    const auto cpu_sums = cpu->gradient(batch, {}, expected);
    const auto cuda_sums = cuda->gradient(batch, {}, gradient);
    ASSERT_TRUE(cpu_sums && cuda_sums);
    EXPECT_NEAR(cuda_sums->policy, cpu_sums->policy, 1e-2);
    EXPECT_NEAR(cuda_sums->value, cpu_sums->value, 1e-2);
    EXPECT_LT(distance(gradient, expected), 1e-2);
    ASSERT_TRUE(cpu->step(expected, 1e-3));
    ASSERT_TRUE(cuda->step(expected, 1e-3));  // the same, for Adam takes the sign of tiny ones
    EXPECT_LT(distance(cuda->weights(), cpu->weights()), 1e-5);
  }
  const OptimiserState moments = cuda->optimiser().value();
  EXPECT_EQ(moments.steps, 3);
  EXPECT_LT(distance(moments.first_moment, cpu->optimiser()->first_moment), 1e-5);
  std::vector<float> policy(batch.size() * kPolicyLogits);
  std::vector<float> wdl(batch.size() * kWdlLogits);
  std::vector<float> cpu_policy(policy.size());
  ASSERT_TRUE(cuda->evaluator(0).evaluate(batch.observations, policy, wdl));
  ASSERT_TRUE(cpu->evaluator(0).evaluate(batch.observations, cpu_policy, wdl));
  EXPECT_LT(distance(policy, cpu_policy), 1e-2);
  ASSERT_TRUE(cuda->restore(weights, *cpu->optimiser()));
  EXPECT_TRUE(std::ranges::equal(cuda->weights(), weights));
}

}  // namespace
}  // namespace keisei::net
