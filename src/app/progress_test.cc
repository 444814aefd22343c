#include "app/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keisei::app {
namespace {

using testing::HasSubstr;
using testing::Not;

telemetry::UpdateRecord update_at(std::int64_t step) {
  telemetry::UpdateRecord update;
  update.step = step;
  update.steps_per_second = 2000;
  update.policy_loss = -0.0123;
  update.value_loss = 0.98;
  return update;
}

telemetry::EvaluationRecord evaluation() {
  telemetry::EvaluationRecord record;
  record.step = 50'000;
  record.outcome = "Finished";
  record.opponents = {{.name = "random", .games = 20, .wins = 9, .draws = 8, .losses = 3}};
  record.score = {.value = 0.65, .low = 0.41, .high = 0.84};
  record.latency_ms = 1234.5;
  record.peak_memory_bytes = 41'000'000;
  record.sla["evaluation_latency_ms"] = {1234.5, 5000, telemetry::Verdict::Met};
  record.sla["memory_overhead_mb"] = {41, 500, telemetry::Verdict::Violated};
  return record;
}

TEST(ProgressLine, ShowsStepRateAndTimeToGo) {
  const std::string line = progress_line({.total_steps = 1'000'000, .update = update_at(200'000)});
  EXPECT_THAT(line, HasSubstr("step 200,000/1,000,000 (20 %)"));
  EXPECT_THAT(line, HasSubstr("2,000 steps/s"));
  EXPECT_THAT(line, HasSubstr("ETA 6 min 40 s"));
}

TEST(ProgressLine, HasNoTimeToGoWithoutARate) {
  telemetry::UpdateRecord update = update_at(5);
  update.steps_per_second = 0;
  EXPECT_THAT(progress_line({.total_steps = 10, .update = update}), Not(HasSubstr("ETA")));
}

TEST(ProgressLine, SaysThatEnforcementIsOffOnEveryLine) {
  EXPECT_THAT(evaluation_line({.enforcement = false}), HasSubstr("ENFORCEMENT OFF"));
  EXPECT_THAT(evaluation_line({}), testing::Not(HasSubstr("ENFORCEMENT")));
  EXPECT_THAT(progress_line({.enforcement = false}), HasSubstr("ENFORCEMENT OFF"));
  EXPECT_THAT(progress_line({.update = update_at(1), .enforcement = false}),
              HasSubstr("ENFORCEMENT OFF"));
}

TEST(EvaluationLine, ShowsScoreWithItsIntervalAndEachVerdict) {
  const std::string line = evaluation_line(evaluation());
  EXPECT_THAT(line, HasSubstr("random +9 =8 -3"));
  EXPECT_THAT(line, HasSubstr("score 0.65 [0.41, 0.84]"));
  EXPECT_THAT(line, HasSubstr("latency 1234 ms (met)"));
  EXPECT_THAT(line, HasSubstr("memory 41 MB (VIOLATED)"));
  EXPECT_THAT(line, HasSubstr("impact not measured"));
}

TEST(EvaluationLine, SaysHowManyGamesWerePlayedOfThoseAskedForAndWhy) {
  telemetry::EvaluationRecord record = evaluation();
  record.games_asked = 80;
  record.degradation = {{.level = "fewer_games", .cause = "some wait for memory"}};
  const std::string line = evaluation_line(record);
  EXPECT_THAT(line, HasSubstr("(20 of 80 games)"));
  EXPECT_THAT(line, HasSubstr("fewer_games: some wait for memory"));
  EXPECT_THAT(progress_line({.update = update_at(1), .evaluation = record}),
              HasSubstr("(20 of 80 games)"));
}

TEST(EvaluationLine, SaysWhyThereIsNoScore) {
  telemetry::EvaluationRecord record = evaluation();
  record.score.reset();
  record.outcome = "TimedOut";
  record.cause = "timeout_s 300 reached";
  const std::string line = evaluation_line(record);
  EXPECT_THAT(line, HasSubstr("score no game"));
  EXPECT_THAT(line, HasSubstr("TimedOut"));
  EXPECT_THAT(line, HasSubstr("because timeout_s 300 reached"));
}

TEST(SpokenDuration, TakesTheUnitThatFits) {
  EXPECT_EQ(spoken_duration(8.4), "8 s");
  EXPECT_EQ(spoken_duration(73), "1 min 13 s");
  EXPECT_EQ(spoken_duration(7500), "2 h 05 min");
}

}  // namespace
}  // namespace keisei::app
