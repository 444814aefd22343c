#include "net/policy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/rng.h"

namespace keisei::net {
namespace {

TEST(Policy, GivesAllProbabilityToLegalActions) {
  std::vector<float> logits(2187, 50.0F);  // the illegal ones would dominate
  const std::vector<env::Action> legal = {3, 700, 2186};
  logits[3] = 0.0F;
  logits[700] = 1.0F;
  logits[2186] = -1.0F;
  std::vector<float> log_probs(3);
  ASSERT_TRUE(legal_log_softmax(logits, legal, log_probs));
  const double total = std::exp(0.0) + std::exp(1.0) + std::exp(-1.0);
  EXPECT_NEAR(std::exp(log_probs[0]), 1.0 / total, 1e-6);
  EXPECT_NEAR(std::exp(log_probs[1]), std::exp(1.0) / total, 1e-6);
  EXPECT_NEAR(std::exp(log_probs[0]) + std::exp(log_probs[1]) + std::exp(log_probs[2]), 1.0, 1e-6);
}

TEST(Policy, StaysFiniteForLogitsOfAnySize) {
  std::vector<float> logits(2187, 0.0F);
  logits[0] = 1e30F;
  const std::vector<env::Action> legal = {0, 1};
  std::vector<float> log_probs(2);
  ASSERT_TRUE(legal_log_softmax(logits, legal, log_probs));
  EXPECT_EQ(log_probs[0], 0.0F);
  EXPECT_EQ(sample_index(log_probs, 0.999999), 0U);
}

TEST(Policy, SamplesInProportion) {
  const std::vector<float> log_probs = {std::log(0.5F), std::log(0.2F), std::log(0.3F)};
  Rng rng(1, 2);
  std::array<int, 3> counts{};
  constexpr int kDraws = 20'000;
  for (int i = 0; i < kDraws; ++i) {
    ++counts[sample_index(log_probs, rng.uniform())];
  }
  EXPECT_NEAR(counts[0], 0.5 * kDraws, 0.015 * kDraws);
  EXPECT_NEAR(counts[1], 0.2 * kDraws, 0.015 * kDraws);
  EXPECT_NEAR(counts[2], 0.3 * kDraws, 0.015 * kDraws);
}

TEST(Policy, NeverSamplesWhatHasNoProbability) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  const std::vector<float> log_probs = {kNever, std::log(0.4F), kNever, std::log(0.6F), kNever};
  for (const double u : {0.0, 0.399, 0.401, 0.9999999999, 1.0 - 1e-16}) {
    const std::size_t index = sample_index(log_probs, u);
    EXPECT_TRUE(index == 1 || index == 3) << u;
  }
}

TEST(Policy, HasNoProbabilitiesForALogitThatIsNotFinite) {
  const std::vector<env::Action> legal = {5, 6};
  std::vector<float> log_probs(2);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    std::vector<float> logits(2187, 0.0F);
    logits[7] = bad;
    EXPECT_TRUE(legal_log_softmax(logits, legal, log_probs)) << "an illegal one does not count";
    logits[6] = bad;
    const Result<void> done = legal_log_softmax(logits, legal, log_probs);
    ASSERT_FALSE(done) << bad;
    EXPECT_NE(done.error().message.find("action 6"), std::string::npos);
  }
}

TEST(Policy, ExpectedResultIsWinMinusLoss) {
  const std::array<float, 3> logits = {std::log(0.6F), std::log(0.1F), std::log(0.3F)};
  const std::array<float, 3> wdl = wdl_probabilities(logits);
  EXPECT_NEAR(wdl[1], 0.1F, 1e-6);
  EXPECT_NEAR(expected_result(wdl), 0.3F, 1e-6);
}

}  // namespace
}  // namespace keisei::net
