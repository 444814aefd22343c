#include "eval/degradation.h"

#include <gtest/gtest.h>

namespace keisei::eval {
namespace {

using guard::ServiceLevel;

EvaluationRequest asked(int games) {
  EvaluationRequest request;
  request.games = games;
  request.threads = 3;
  return request;
}

TEST(DegradedEvaluation, PlaysAQuarterOfTheGamesInWholePairs) {
  for (const auto& [games, left] :
       {std::pair{100, 24}, {20, 4}, {16, 4}, {15, 2}, {8, 2}, {3, 2}, {2, 2}, {1, 1}}) {
    const EvaluationRequest request = degraded(asked(games), ServiceLevel::FewerGames);
    EXPECT_EQ(request.games, left) << games;
    EXPECT_EQ(request.threads, 3);
  }
}

TEST(DegradedEvaluation, OnOneThreadHasFewerGamesToo) {
  const EvaluationRequest request = degraded(asked(100), ServiceLevel::OneThread);
  EXPECT_EQ(request.games, 24);
  EXPECT_EQ(request.threads, 1);
}

TEST(DegradedEvaluation, InFullIsWhatWasAsked) {
  EXPECT_EQ(degraded(asked(100), ServiceLevel::Full), asked(100));
}

}  // namespace
}  // namespace keisei::eval
