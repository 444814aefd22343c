#include "report/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

namespace keisei::report {
namespace {

using telemetry::EvaluationRecord;
using telemetry::Verdict;
using testing::HasSubstr;
using testing::Not;

EvaluationRecord finished() {
  return {
      .id = "a",
      .step = 50'000,
      .outcome = "Finished",
      .opponents = {{.name = "random", .games = 20, .wins = 12, .draws = 1, .losses = 7}},
      .score = telemetry::ScoreEstimate{.value = 0.625, .low = 0.4, .high = 0.81},
      .elo = telemetry::EloEstimate{.value = 88.7, .low = -70.4, .high = 251.9},
      .latency_ms = 1234.4,
      .peak_memory_bytes = 81'000'000,
      .sla = {{"evaluation_latency_ms", {.value = 1234.4, .limit = 5000, .verdict = Verdict::Met}},
              {"memory_overhead_mb", {.value = 81, .limit = 80, .verdict = Verdict::Violated}},
              {"gpu_utilization_percent", {.limit = 80, .verdict = Verdict::NotMeasured}}}};
}

EvaluationRecord rejected() {
  return {.id = "b", .step = 1'100'000, .outcome = "Rejected", .cause = "queue 17 > 16"};
}

RunHistory history() {
  return {.name = "runs/first",
          .updates = {{.step = 8192, .update = 1, .rollout_seconds = 3, .update_seconds = 1},
                      {.step = 16'384,
                       .update = 2,
                       .games = 70,
                       .policy_loss = -0.01,
                       .value_loss = std::nan(""),
                       .entropy = 4.25,
                       .rollout_seconds = 2.19,
                       .update_seconds = 2}},
          .evaluations = {finished(), rejected()},
          .checkpoints = {{.step = 1, .path = "c/1"},
                          {.step = 2000, .path = "c/2", .error = "disk full"}},
          .events = {{.level = telemetry::LogLevel::Warning, .message = "worker killed"}}};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

TEST(Summary, TellsWhatTheTrainingDid) {
  const std::string text = render(history(), Format::Text);
  EXPECT_THAT(text, HasSubstr("run          runs/first\n"));
  EXPECT_THAT(text, HasSubstr("16,384 steps, 2 updates, 70 games in 8 s (2,000 steps/s); at the "
                              "end policy loss -0.010, value loss -, entropy 4.25\n"));
  EXPECT_THAT(text, HasSubstr("1 saved, last c/1; 1 FAILED, last at step 2,000: disk full\n"));
  EXPECT_THAT(text, HasSubstr("evaluations  2: 1 Finished, 1 Rejected\n"));
  EXPECT_THAT(text, HasSubstr("1 warnings, 0 errors; last: worker killed\n"));
}

TEST(Summary, HasOneAlignedRowPerEvaluation) {
  const auto lines = lines_of(render(history(), Format::Text));
  ASSERT_EQ(lines.size(), 11u);
  const std::string& title = lines[6];
  const std::string& row = lines[7];
  EXPECT_EQ(row.substr(0, 28), "   50,000  random       20  ");
  EXPECT_EQ(title.find("score"), row.find("0.625 [0.400, 0.810]"));
  EXPECT_EQ(title.find("Elo"), row.find("+89 [-70, +252]"));
  EXPECT_EQ(title.find("outcome"), row.find("Finished"));
  EXPECT_EQ(title.find("outcome"), lines[8].find("Rejected: queue 17 > 16"));
  EXPECT_THAT(row, HasSubstr("1,234 ms met"));
  EXPECT_THAT(row, HasSubstr("81 MB VIOLATED"));
}

TEST(Summary, NeverShowsAZeroOrAPassForWhatWasNotMeasured) {
  const std::string row = lines_of(render(history(), Format::Text))[8];
  EXPECT_THAT(row, Not(HasSubstr("met")));
  EXPECT_THAT(row, Not(HasSubstr("ms")));
  EXPECT_THAT(row, Not(HasSubstr("0.0")));
}

TEST(Summary, ACleanSweepHasALowerBoundOfElo) {
  RunHistory run = history();
  run.evaluations[0].elo = telemetry::EloEstimate{.low = 277.4};
  EXPECT_THAT(render(run, Format::Text), HasSubstr("above +277"));
  run.evaluations[0].elo = telemetry::EloEstimate{.high = -277.4};
  EXPECT_THAT(render(run, Format::Text), HasSubstr("below -277"));
}

TEST(Summary, SaysThatGamesAreMissing) {
  RunHistory run = history();
  run.evaluations[0].partial = true;
  EXPECT_THAT(render(run, Format::Text), HasSubstr("20 of more"));
}

TEST(Summary, SaysHowManyGamesWereAskedForAndWhyFewerWerePlayed) {
  RunHistory run = history();
  run.evaluations[0].games_asked = 80;
  run.evaluations[0].degradation = {{.level = "fewer_games", .cause = "load 9"},
                                    {.level = "full", .cause = "the pressure is over"}};
  const std::string text = render(run, Format::Text);
  EXPECT_THAT(text, HasSubstr("20 of 80"));
  EXPECT_THAT(text, HasSubstr("Finished; fewer_games (load 9)\n"));
}

TEST(Summary, KeepsControlCharactersAwayFromTheTerminal) {
  RunHistory run = history();
  run.evaluations[0].opponents[0].name = "\x1b[31mred";
  EXPECT_THAT(render(run, Format::Text), HasSubstr("?[31mred"));
}

TEST(Summary, AlignsNamesInJapanese) {
  RunHistory run = history();
  run.evaluations[0].opponents[0].name = "将棋";
  const auto lines = lines_of(render(run, Format::Text));
  // Six bytes that take four columns.
  EXPECT_EQ(lines[7].find("Finished"), lines[6].find("outcome") + 2);
}

TEST(Summary, AnEmptyRunHasNoTable) {
  const std::string text = render({.name = "r"}, Format::Text);
  EXPECT_THAT(text, HasSubstr("no update yet"));
  EXPECT_THAT(text, Not(HasSubstr("score")));
}

TEST(Summary, MarkdownHasATableWithEscapedBars) {
  RunHistory run = history();
  run.evaluations[0].opponents[0].name = "a|b";
  const std::string text = render(run, Format::Markdown);
  EXPECT_THAT(text, HasSubstr("| step | opponent | games |"));
  EXPECT_THAT(text, HasSubstr("|---:|---|---:|"));
  EXPECT_THAT(text, HasSubstr("| 50,000 | a\\|b | 20 |"));
}

TEST(Summary, JsonHoldsTheRecordsAsTheyAreStored) {
  const auto json = nlohmann::json::parse(render(history(), Format::Json));
  EXPECT_EQ(json["run"], "runs/first");
  EXPECT_EQ(json["training"]["last_update"]["update"], 2);
  EXPECT_TRUE(json["training"]["last_update"]["value_loss"].is_null());
  EXPECT_EQ(telemetry::parse_evaluation(json["evaluations"][0].dump()).value(), finished());
  EXPECT_EQ(json["checkpoints"].size(), 2u);
  EXPECT_TRUE(nlohmann::json::parse(render({.name = "r"}, Format::Json))["training"].is_null());
}

}  // namespace
}  // namespace keisei::report
