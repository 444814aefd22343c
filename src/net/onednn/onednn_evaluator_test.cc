#include "net/onednn/onednn_evaluator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"

namespace keisei::net {
namespace {

using Planes = std::vector<double>;  // [channels][81]

/// The network as net/spec.h describes it, in plain loops and doubles.
class Reference {
 public:
  Reference(const NetSpec& spec, const WeightsView& weights) : spec_(spec), weights_(weights) {}

  void evaluate(const env::Observation& observation, std::vector<double>& policy,
                std::vector<double>& wdl) {
    next_ = 0;
    std::vector<float> planes(env::kPlaneFloats);
    env::expand_planes({&observation, 1}, planes);
    Planes input(planes.size());
    for (std::size_t i = 0; i < planes.size(); ++i) {
      input[i % env::kPlanes * 81 + i / env::kPlanes] = planes[i];
    }
    Planes x = relu(convolve(input, 3));
    for (int block = 0; block < spec_.blocks; ++block) {
      Planes residual = convolve(relu(convolve(x, 3)), 3);
      const std::vector<double> scale = dense(relu(dense(means(residual))));
      for (std::size_t i = 0; i < x.size(); ++i) {
        x[i] += residual[i] / (1 + std::exp(-scale[i / 81]));
      }
      x = relu(x);
    }
    policy = convolve(x, 1);
    wdl = dense(relu(dense(relu(convolve(x, 1)))));
  }

 private:
  static Planes relu(Planes x) {
    for (double& value : x) {
      value = std::max(value, 0.0);
    }
    return x;
  }
  static std::vector<double> means(const Planes& x) {
    std::vector<double> result(x.size() / 81);
    for (std::size_t i = 0; i < x.size(); ++i) {
      result[i / 81] += x[i] / 81;
    }
    return result;
  }
  Planes convolve(const Planes& x, int kernel) {
    const std::span<const float> weights = weights_.tensors[next_++];
    const std::span<const float> bias = weights_.tensors[next_++];
    const auto inputs = static_cast<int>(x.size() / 81);
    Planes y(bias.size() * 81);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const int out = static_cast<int>(i) / 81;
      const int file = static_cast<int>(i) % 81 / 9;
      const int rank = static_cast<int>(i) % 9;
      y[i] = bias[static_cast<std::size_t>(out)];
      for (int k = 0; k < inputs * kernel * kernel; ++k) {
        const int from_file = file + k / kernel % kernel - kernel / 2;
        const int from_rank = rank + k % kernel - kernel / 2;
        if (std::clamp(from_file, 0, 8) == from_file && std::clamp(from_rank, 0, 8) == from_rank) {
          const int in = k / (kernel * kernel);
          y[i] += weights[static_cast<std::size_t>(out * inputs * kernel * kernel + k)] *
                  x[static_cast<std::size_t>(in * 81 + from_file * 9 + from_rank)];
        }
      }
    }
    return y;
  }
  std::vector<double> dense(const std::vector<double>& x) {
    const std::span<const float> weights = weights_.tensors[next_++];
    const std::span<const float> bias = weights_.tensors[next_++];
    std::vector<double> y(bias.begin(), bias.end());
    for (std::size_t i = 0; i < weights.size(); ++i) {
      y[i / x.size()] += weights[i] * x[i % x.size()];
    }
    return y;
  }

  NetSpec spec_;
  const WeightsView& weights_;
  std::size_t next_ = 0;
};

/// Weights without zeros, so that every part of the network counts.
Snapshot lively_snapshot(const NetSpec& spec) {
  std::vector<float> flat = initial_weights(spec, 1);
  Rng random(1, 1000);
  for (float& weight : flat) {
    weight += static_cast<float>(0.1 * (random.uniform() - 0.5));
  }
  auto fd = seal_weights(spec, 1, flat);
  return std::move(*Snapshot::from_fd(std::move(*fd)));
}

std::vector<env::Observation> observations(int count) {
  Rng random(2, 2);
  std::vector<env::Observation> result(static_cast<std::size_t>(count));
  for (env::Observation& observation : result) {
    for (std::uint8_t& piece : observation.board) {
      piece = static_cast<std::uint8_t>(random.below(3) == 0 ? random.below(29) : 0);
    }
    observation.hands[3] = static_cast<std::uint8_t>(random.below(3));
    observation.ply = static_cast<std::uint16_t>(random.below(200));
    observation.ply_cap = 200;
  }
  return result;
}

struct Output {
  std::vector<float> policy;
  std::vector<float> wdl;
};

Output evaluate(Evaluator& evaluator, std::span<const env::Observation> batch) {
  Output output{.policy = std::vector<float>(batch.size() * kPolicyLogits),
                .wdl = std::vector<float>(batch.size() * kWdlLogits)};
  EXPECT_TRUE(evaluator.evaluate(batch, output.policy, output.wdl));
  return output;
}

TEST(OneDnnEvaluator, ComputesTheNetworkOfTheSpec) {
  for (const NetSpec& spec : {NetSpec{1, 16}, NetSpec{2, 32}}) {
    const Snapshot snapshot = lively_snapshot(spec);
    const WeightsView weights = *snapshot.weights();
    const auto evaluator = std::move(*OneDnnEvaluator::create(weights));
    Reference reference(spec, weights);
    const std::vector<env::Observation> batch = observations(10);
    const Output output = evaluate(*evaluator, batch);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      std::vector<double> policy;
      std::vector<double> wdl;
      reference.evaluate(batch[i], policy, wdl);
      for (std::size_t j = 0; j < kPolicyLogits; ++j) {
        ASSERT_NEAR(output.policy[i * kPolicyLogits + j], policy[j], 1e-4) << i << " " << j;
      }
      for (std::size_t j = 0; j < kWdlLogits; ++j) {
        ASSERT_NEAR(output.wdl[i * kWdlLogits + j], wdl[j], 1e-4) << i << " " << j;
      }
    }
  }
}

TEST(OneDnnEvaluator, APositionDoesNotDependOnItsBatch) {
  const Snapshot snapshot = lively_snapshot({2, 32});
  const auto evaluator = std::move(*OneDnnEvaluator::create(*snapshot.weights()));
  const std::vector<env::Observation> batch = observations(150);
  const Output whole = evaluate(*evaluator, batch);
  for (const std::size_t size : {1U, 7U, 8U, 9U, 33U, 64U, 65U, 130U}) {
    const Output part = evaluate(*evaluator, std::span(batch).first(size));
    for (std::size_t i = 0; i < part.policy.size(); ++i) {
      ASSERT_NEAR(part.policy[i], whole.policy[i], 1e-5) << size;
    }
    for (std::size_t i = 0; i < part.wdl.size(); ++i) {
      ASSERT_NEAR(part.wdl[i], whole.wdl[i], 1e-5) << size;
    }
  }
}

TEST(OneDnnEvaluator, TheSameBatchGivesTheSameBits) {
  const Snapshot snapshot = lively_snapshot({2, 32});
  const std::vector<env::Observation> batch = observations(20);
  const auto first = std::move(*OneDnnEvaluator::create(*snapshot.weights()));
  const auto second = std::move(*OneDnnEvaluator::create(*snapshot.weights()));
  EXPECT_EQ(evaluate(*first, batch).policy, evaluate(*second, batch).policy);
}

TEST(OneDnnEvaluator, OutlivesItsSnapshot) {
  const std::vector<env::Observation> batch = observations(3);
  std::unique_ptr<OneDnnEvaluator> evaluator;
  std::vector<float> before;
  {
    const Snapshot snapshot = lively_snapshot({1, 16});
    evaluator = std::move(*OneDnnEvaluator::create(*snapshot.weights()));
    before = evaluate(*evaluator, batch).policy;
  }
  EXPECT_EQ(evaluate(*evaluator, batch).policy, before);
}

}  // namespace
}  // namespace keisei::net
