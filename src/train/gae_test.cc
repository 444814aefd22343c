#include "train/gae.h"

#include <gmock/gmock.h>

#include <cmath>
#include <vector>

#include "base/rng.h"

namespace keisei::train {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::Pointwise;

constexpr Wdl kUnknown = {0.25F, 0.5F, 0.25F};  // value 0
constexpr GaeParameters kPlain{.gamma = 1, .lambda = 0.95F};

std::vector<GaeTarget> targets_of(const std::vector<GaeStep>& steps,
                                  const GaeParameters& parameters) {
  std::vector<GaeTarget> targets(steps.size());
  estimate_advantages(steps, parameters, targets);
  return targets;
}

std::vector<float> advantages_of(const std::vector<GaeStep>& steps,
                                 const GaeParameters& parameters) {
  std::vector<float> result;
  for (const GaeTarget& target : targets_of(steps, parameters)) {
    result.push_back(target.advantage);
  }
  return result;
}

/// A game of `plies` that its last mover ends with `reward`; nothing is known on the way.
std::vector<GaeStep> game(std::size_t plies, float reward) {
  std::vector<GaeStep> steps(plies, {.wdl = kUnknown, .next_wdl = kUnknown});
  steps.back().end = StepEnd::Terminal;
  steps.back().reward = reward;
  return steps;
}

Wdl random_wdl(Rng& rng) {
  const auto a = static_cast<float>(0.01 + rng.uniform());
  const auto b = static_cast<float>(0.01 + rng.uniform());
  const auto c = static_cast<float>(0.01 + rng.uniform());
  return {a / (a + b + c), b / (a + b + c), c / (a + b + c)};
}

/// Positions with random opinions, consistent from each to its successor.
std::vector<GaeStep> random_steps(std::uint64_t seed, std::size_t count) {
  Rng rng(seed, 0);
  std::vector<GaeStep> steps(count);
  for (std::size_t t = 0; t < count; ++t) {
    steps[t].wdl =
        t > 0 && steps[t - 1].end == StepEnd::Continues ? steps[t - 1].next_wdl : random_wdl(rng);
    steps[t].next_wdl = random_wdl(rng);
    steps[t].sigma = rng.below(4) == 0 ? 1 : -1;
    const std::uint32_t kind = rng.below(8);
    if (kind == 0) {
      steps[t].end = StepEnd::Terminal;
      steps[t].reward = static_cast<float>(rng.below(3)) - 1;
    } else if (kind == 1) {
      steps[t].end = StepEnd::Truncated;
    }
  }
  return steps;
}

TEST(Gae, TheWinnersPliesAreGoodAndTheLosersBad) {
  EXPECT_THAT(advantages_of(game(6, 1), {.gamma = 1, .lambda = 1}),
              ElementsAre(-1, 1, -1, 1, -1, 1));
}

TEST(Gae, LambdaFadesTheTraceWithoutTurningItsSign) {
  EXPECT_THAT(advantages_of(game(3, 1), {.gamma = 1, .lambda = 0.5F}),
              ElementsAre(0.25F, -0.5F, 1));
}

TEST(Gae, AWinOfTheNextGameDoesNotReachATruncatedOne) {
  std::vector<GaeStep> steps(2, {.wdl = kUnknown, .next_wdl = {0.5F, 0.4F, 0.1F}});
  steps.back().end = StepEnd::Truncated;
  std::vector<std::vector<float>> seen;
  for (const float reward : {1.0F, -1.0F}) {
    std::vector<GaeStep> both = steps;
    for (const GaeStep& step : game(3, reward)) {
      both.push_back(step);
    }
    std::vector<float> advantages = advantages_of(both, kPlain);
    advantages.resize(2);
    seen.push_back(advantages);
  }
  EXPECT_EQ(seen[0], seen[1]);
  EXPECT_FLOAT_EQ(seen[0][1], -0.4F);  // the successor's value, seen from the other side
}

TEST(Gae, ATerminalStepDoesNotLookAtItsSuccessor) {
  std::vector<GaeStep> steps = game(1, 1);
  steps[0].wdl = {0.5F, 0.3F, 0.2F};
  steps[0].next_wdl = {1, 0, 0};
  EXPECT_THAT(advantages_of(steps, kPlain), ElementsAre(FloatNear(0.7F, 1e-6F)));
}

TEST(Gae, TheEndOfTheRolloutBootstraps) {
  const std::vector<GaeStep> steps = {{.wdl = kUnknown, .next_wdl = {0.7F, 0.2F, 0.1F}}};
  const std::vector<GaeTarget> targets = targets_of(steps, kPlain);
  EXPECT_FLOAT_EQ(targets[0].advantage, -0.6F);
  EXPECT_THAT(targets[0].wdl, ElementsAre(0.1F, 0.2F, 0.7F));
}

TEST(Gae, OneSideAloneIsTheClassicalEstimate) {
  const GaeParameters parameters{.gamma = 0.9F, .lambda = 0.8F};
  std::vector<GaeStep> steps = random_steps(5, 40);
  for (GaeStep& step : steps) {
    step.sigma = 1;
  }
  std::vector<float> expected(steps.size());
  double trace = 0;
  for (std::size_t t = steps.size(); t-- > 0;) {
    const bool terminal = steps[t].end == StepEnd::Terminal;
    const bool done = steps[t].end != StepEnd::Continues;
    const double delta = steps[t].reward + (terminal ? 0.0 : 0.9 * value_of(steps[t].next_wdl)) -
                         value_of(steps[t].wdl);
    trace = delta + (done ? 0.0 : 0.9 * 0.8 * trace);
    expected[t] = static_cast<float>(trace);
  }
  EXPECT_THAT(advantages_of(steps, parameters), Pointwise(FloatNear(1e-5F), expected));
}

TEST(Gae, TargetsAgreeWithAdvantagesAndAreDistributions) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const GaeParameters parameters{.gamma = seed % 2 == 0 ? 1.0F : 0.99F, .lambda = 0.95F};
    const std::vector<GaeStep> steps = random_steps(seed, 64);
    const std::vector<GaeTarget> targets = targets_of(steps, parameters);
    for (std::size_t t = 0; t < steps.size(); ++t) {
      EXPECT_NEAR(value_of(targets[t].wdl), targets[t].advantage + value_of(steps[t].wdl), 2e-6);
      EXPECT_NEAR(targets[t].wdl[0] + targets[t].wdl[1] + targets[t].wdl[2], 1, 2e-6);
    }
  }
}

TEST(Gae, DrawsStayDraws) {
  for (const GaeTarget& target : targets_of(game(5, 0), {.gamma = 1, .lambda = 1})) {
    EXPECT_THAT(target.wdl, ElementsAre(0, 1, 0));
  }
}

}  // namespace
}  // namespace keisei::train
