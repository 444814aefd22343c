// Learner, evaluators and trainer together: what holds only across their modules.

#include <gmock/gmock.h>

#include <cmath>

#include "net/onednn/onednn_evaluator.h"
#include "net/policy.h"
#include "net/snapshot.h"
#include "net/torch/learner.h"
#include "net/torch/torch_evaluator.h"
#include "small_training.h"

namespace keisei::train {
namespace {

std::vector<env::Observation> random_positions(int count) {
  env::Environment environment(1, {});
  Rng random(5, 0);
  std::vector<env::Observation> positions;
  while (static_cast<int>(positions.size()) < count) {
    const std::span<const env::Action> legal = environment.legal_actions(0);
    const auto action = legal[random.below(static_cast<std::uint32_t>(legal.size()))];
    if (environment.apply(0, action).terminal) {
      environment.reset(0);
    }
    positions.push_back(environment.observation(0));
  }
  return positions;
}

double largest_difference(net::Evaluator& a, net::Evaluator& b,
                          std::span<const env::Observation> positions) {
  std::vector<float> policy_a(positions.size() * net::kPolicyLogits);
  std::vector<float> policy_b(policy_a.size());
  std::vector<float> wdl_a(positions.size() * net::kWdlLogits);
  std::vector<float> wdl_b(wdl_a.size());
  EXPECT_TRUE(a.evaluate(positions, policy_a, wdl_a));
  EXPECT_TRUE(b.evaluate(positions, policy_b, wdl_b));
  double largest = 0;
  for (std::size_t i = 0; i < policy_a.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(policy_a[i]) - policy_b[i]));
  }
  for (std::size_t i = 0; i < wdl_a.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(wdl_a[i]) - wdl_b[i]));
  }
  return largest;
}

TEST(Training, OneDnnComputesWhatTheLearnerComputes) {
  const std::vector<env::Observation> positions = random_positions(300);
  for (const net::NetSpec& spec : {kB2c32, kB4c64}) {
    Training training(spec, 2);
    training.update(3);
    const net::Snapshot snapshot = weights_of(*training.learner);
    const auto weights = snapshot.weights();
    ASSERT_TRUE(weights) << weights.error().message;
    const auto onednn = net::OneDnnEvaluator::create(*weights);
    const auto torch = net::TorchEvaluator::create(*weights);
    ASSERT_TRUE(onednn && torch);
    net::Evaluator& learner = training.learner->evaluator(0);
    for (const std::size_t size : {1U, 8U, 20U, 64U, 300U}) {
      const std::span<const env::Observation> some = std::span(positions).first(size);
      EXPECT_LT(largest_difference(learner, **onednn, some), 1e-4) << to_string(spec) << size;
      EXPECT_LT(largest_difference(learner, **torch, some), 1e-6) << to_string(spec) << size;
    }
  }
}

/// Root of the mean square of what leaves the stem: a plain convolution, then ReLU.
double stem_rms(const net::NetSpec& spec, std::span<const float> weights,
                std::span<const float> planes) {
  const std::size_t fan_in = env::kPlanes * 9;
  const auto width = static_cast<std::size_t>(spec.channels);
  double squares = 0;
  for (std::size_t out = 0; out < width; ++out) {
    for (int square = 0; square < env::kSquares; ++square) {
      double sum = weights[width * fan_in + out];
      for (std::size_t i = 0; i < fan_in; ++i) {
        const int row = square / 9 + static_cast<int>(i / 3 % 3) - 1;
        const int column = square % 9 + static_cast<int>(i % 3) - 1;
        if (row >= 0 && row < 9 && column >= 0 && column < 9) {
          sum += weights[out * fan_in + i] *
                 planes[static_cast<std::size_t>(row * 9 + column) * env::kPlanes + i / 9];
        }
      }
      squares += sum > 0 ? sum * sum : 0;
    }
  }
  return std::sqrt(squares / static_cast<double>(width * env::kSquares));
}

TEST(Training, FreshStemActivationsAreOfTheOrderOfOne) {
  const std::vector<env::Observation> positions = random_positions(200);
  std::vector<float> planes(env::kPlaneFloats);
  for (const net::NetSpec& spec : {kB2c32, kB4c64}) {
    const std::vector<float> weights = net::initial_weights(spec, kSeed);
    for (std::size_t i = 0; i < positions.size(); i += 20) {
      env::expand_planes({&positions[i], 1}, planes);
      const double rms = stem_rms(spec, weights, planes);
      EXPECT_GT(rms, 0.3) << to_string(spec) << " position " << i;
      EXPECT_LT(rms, 3.0) << to_string(spec) << " position " << i;
    }
  }
}

TEST(Training, AdamsEpsilonIsBelowTheGradientsOfTheWholeTower) {
  for (const net::NetSpec& spec : {kB2c32, kB4c64}) {
    Training training(spec, 2);
    training.update(1);
    const std::span<const float> moments = training.learner->optimiser()->second_moment;
    for (const net::TensorInfo& tensor : net::tensor_table(spec)) {
      if (tensor.name.find(".squeeze.") != std::string::npos ||
          tensor.name.find(".excite.") != std::string::npos) {
        continue;  // the squeeze's ReLU can be off for every sample yet: no gradient
      }
      const auto part = moments.subspan(static_cast<std::size_t>(tensor.offset),
                                        static_cast<std::size_t>(tensor.elements));
      std::vector<float> sorted(part.begin(), part.end());
      std::ranges::nth_element(sorted, sorted.begin() + tensor.elements / 2);
      EXPECT_GT(std::sqrt(sorted[sorted.size() / 2]), net::kAdamEpsilon)
          << to_string(spec) << " " << tensor.name;
    }
  }
}

TEST(Training, RatioIsOneInTheFirstMinibatch) {
  Training training(kB2c32, 2);
  for (int i = 0; i < 3; ++i) {
    training.update(1);
    EXPECT_LT(training.trainer.first_ratio_deviation(), 1e-5);
  }
}

TEST(Training, RatioIsOneAlsoWhenAnotherEvaluatorPlayed) {
  auto learner = std::move(*net::TorchLearner::create(kB2c32, net::initial_weights(kB2c32, 1), 2));
  Trainer trainer(small_settings(2),
                  {.learner = *learner, .make_evaluator = [](const net::Learner& current) {
                     const net::Snapshot snapshot = weights_of(current);
                     return std::move(*net::OneDnnEvaluator::create(*snapshot.weights()));
                   }});
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(trainer.update(std::stop_token()).value());
    EXPECT_LT(trainer.first_ratio_deviation(), 1e-5);
  }
}

TEST(Training, WeightsDoNotDependOnTheNumberOfWorkers) {
  Training one(kB2c32, 1);
  Training two(kB2c32, 2);
  one.update(2);
  two.update(2);
  EXPECT_EQ(one.hash(), two.hash());
  Training again(kB2c32, 2);
  EXPECT_NE(again.hash(), two.hash()) << "nothing was learned";
}

/// The shortest way from sign errors to a red test: good moves must become likelier, bad ones
/// rarer, and the value must move to its target.
TEST(Training, LearnsAFixedBatch) {
  auto learner = std::move(*net::TorchLearner::create(kB2c32, net::initial_weights(kB2c32, 1), 1));
  env::Environment environment(1, {});
  net::MicroBatch batch;
  for (int i = 0; i < 16; ++i) {
    const std::span<const env::Action> legal = environment.legal_actions(0);
    batch.observations.push_back(environment.observation(0));
    batch.legal.insert(batch.legal.end(), legal.begin(), legal.end());
    batch.legal_counts.push_back(static_cast<std::uint16_t>(legal.size()));
    batch.chosen.push_back(static_cast<std::uint16_t>(2 * i % static_cast<int>(legal.size())));
    batch.old_log_probs.push_back(-std::log(static_cast<float>(legal.size())));
    const bool good = i % 2 == 0;
    batch.advantages.push_back(good ? 1.0F : -1.0F);
    const std::array<float, 3> target =
        good ? std::array{1.0F, 0.0F, 0.0F} : std::array{0.0F, 0.0F, 1.0F};
    batch.wdl_targets.insert(batch.wdl_targets.end(), target.begin(), target.end());
    environment.apply(0, legal[batch.chosen.back()]);
  }
  std::vector<float> gradient(learner->weights().size());
  for (int step = 0; step < 150; ++step) {
    ASSERT_TRUE(learner->gradient(batch, {.clip = 0.5, .value = 1, .entropy = 0}, gradient));
    ASSERT_TRUE(learner->step(gradient, 1e-3));
  }
  std::vector<float> policy(batch.size() * net::kPolicyLogits);
  std::vector<float> wdl(batch.size() * net::kWdlLogits);
  ASSERT_TRUE(learner->evaluator(0).evaluate(batch.observations, policy, wdl));
  std::span<const env::Action> lists(batch.legal);
  double mean_change = 0;
  double mean_value = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    std::vector<float> log_probs(batch.legal_counts[i]);
    ASSERT_TRUE(net::legal_log_softmax(
        std::span(policy).subspan(i * net::kPolicyLogits, net::kPolicyLogits),
        lists.first(log_probs.size()), log_probs));
    lists = lists.subspan(log_probs.size());
    const double change = log_probs[batch.chosen[i]] - batch.old_log_probs[i];
    const float value = net::expected_result(net::wdl_probabilities(
        std::span<const float>(wdl).subspan(i * net::kWdlLogits).first<net::kWdlLogits>()));
    mean_change += (i % 2 == 0 ? change : -change) / static_cast<double>(batch.size());
    mean_value += (i % 2 == 0 ? value : -value) / static_cast<double>(batch.size());
  }
  EXPECT_GT(mean_change, 0.3);
  EXPECT_GT(mean_value, 0.3);
}

/// The gradient against differences of the loss, which `gradient` itself reports.
TEST(Training, GradientIsThatOfTheLoss) {
  constexpr net::NetSpec kTiny{.blocks = 1, .channels = 16};
  std::vector<float> weights = net::initial_weights(kTiny, 3);
  Rng random(8, 1);
  for (float& weight : weights) {
    weight += static_cast<float>(0.1 * (random.uniform() - 0.5));
  }
  auto learner = std::move(*net::TorchLearner::create(kTiny, weights, 1));
  env::Environment environment(1, {});
  net::MicroBatch batch;
  for (int i = 0; i < 4; ++i) {
    const std::span<const env::Action> legal = environment.legal_actions(0);
    batch.observations.push_back(environment.observation(0));
    batch.legal.insert(batch.legal.end(), legal.begin(), legal.end());
    batch.legal_counts.push_back(static_cast<std::uint16_t>(legal.size()));
    batch.chosen.push_back(static_cast<std::uint16_t>(i));
    batch.old_log_probs.push_back(-std::log(static_cast<float>(legal.size())) + 0.05F);
    batch.advantages.push_back(i % 2 == 0 ? 1.0F : -0.5F);
    batch.wdl_targets.insert(batch.wdl_targets.end(), {0.5F, 0.2F, 0.3F});
    environment.apply(0, legal[static_cast<std::size_t>(i)]);
  }
  const net::LossWeights coefficients{.clip = 100, .value = 0.7, .entropy = 0.3};
  std::vector<float> gradient(weights.size());
  std::vector<float> ignored(weights.size());
  ASSERT_TRUE(learner->gradient(batch, coefficients, gradient));
  const std::vector<float> zeros(weights.size());
  const auto loss_at = [&](const std::vector<float>& at) {
    EXPECT_TRUE(learner->restore(at, {.first_moment = zeros, .second_moment = zeros, .steps = 0}));
    const net::LossSums sums = learner->gradient(batch, coefficients, ignored).value();
    return sums.policy + coefficients.value * sums.value - coefficients.entropy * sums.entropy;
  };
  std::vector<float> direction(weights.size());
  double expected = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    direction[i] = static_cast<float>(random.uniform() - 0.5);
    expected += static_cast<double>(direction[i]) * gradient[i];
  }
  constexpr float kStep = 1e-4F;
  std::vector<float> ahead = weights;
  std::vector<float> behind = weights;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    ahead[i] += kStep * direction[i];
    behind[i] -= kStep * direction[i];
  }
  const double measured = (loss_at(ahead) - loss_at(behind)) / (2 * kStep);
  EXPECT_NEAR(measured, expected, 0.02 * std::abs(expected) + 0.02);
}

}  // namespace
}  // namespace keisei::train
