#include "telemetry/records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace keisei::telemetry {
namespace {

using testing::HasSubstr;

WallTime wall() { return WallTime(std::chrono::milliseconds(1'790'000'000'123)); }

EvaluationRecord full_evaluation() {
  return {.id = "e17",
          .step = 50'000,
          .entry = EvaluationEntry::CurrentAgent,
          .started = wall(),
          .outcome = "Partial",
          .cause = "evaluation_latency_ms 5100 > 5000",
          .opponents = {{.name = "random",
                         .games = 20,
                         .wins = 12,
                         .draws = 1,
                         .losses = 7,
                         .mean_plies = 101.5,
                         .terminations = {{"mate", 18}, {"repetition", 2}}}},
          .score = ScoreEstimate{.value = 0.625, .low = 0.4, .high = 0.8},
          .elo = EloEstimate{.value = 88.7, .low = -70.0, .high = std::nullopt},
          .partial = true,
          .games_asked = 80,
          .degradation = {{.level = "deferred", .cause = "memory", .waited_ms = 1.5},
                          {.level = "fewer_games", .cause = "load"}},
          .latency_ms = 5100,
          .queue_ms = 3,
          .peak_memory_bytes = 81'000'000,
          .cpu_seconds = 1.2,
          .sla = {{"memory_overhead_mb", {.value = 81, .limit = 500, .verdict = Verdict::Met}},
                  {"gpu_utilization_percent",
                   {.value = std::nullopt, .limit = 80, .verdict = Verdict::NotMeasured}}},
          .training_impact = Verdict::NotMeasured,
          .tier = "namespaces",
          .weights_hash = "abcd",
          .request_path = "evaluations/e17/request.json",
          .report_path = "evaluations/e17/report.json"};
}

TEST(Records, EvaluationSurvivesTheRoundTripThroughJson) {
  EXPECT_EQ(parse_evaluation(to_json(full_evaluation())).value(), full_evaluation());
  const EvaluationRecord empty{.id = "e1", .outcome = "StartFailed"};
  EXPECT_EQ(parse_evaluation(to_json(empty)).value(), empty);
}

TEST(Records, AnEvaluationFromBeforeDegradationIsStillRead) {
  EvaluationRecord old = full_evaluation();
  old.games_asked = 0;
  old.degradation.clear();
  std::string json = to_json(old);
  const std::string later = R"("games_asked":0,"degradation":[],)";
  ASSERT_THAT(json, HasSubstr(later));
  json.erase(json.find(later), later.size());
  EXPECT_EQ(parse_evaluation(json).value(), old);
}

TEST(Records, SmallRecordsSurviveTheRoundTripThroughJson) {
  const HelloRecord hello{.pid = 12, .step = 7, .net = "b2c32"};
  EXPECT_EQ(parse_hello(to_json(hello)).value(), hello);
  const CheckpointRecord checkpoint{.step = 9, .path = "a «b»\n.safetensors", .seconds = 0.25};
  EXPECT_EQ(parse_checkpoint(to_json(checkpoint)).value(), checkpoint);
  const SnapshotNotice notice{
      .step = 1, .sequence = std::numeric_limits<std::uint64_t>::max(), .seal_ms = 0.5};
  EXPECT_EQ(parse_notice(to_json(notice)).value(), notice);
  const FinishedRecord finished{.step = 3, .reason = "stopped"};
  EXPECT_EQ(parse_finished(to_json(finished)).value(), finished);
  const EventRecord event{.wall = wall(),
                          .level = LogLevel::Warning,
                          .kind = "worker_killed",
                          .message = "over memory",
                          .detail = R"({"limit":500})"};
  EXPECT_EQ(parse_event(to_json(event)).value(), event);
}

TEST(Records, NumbersThatAreNotFiniteBecomeNullAndComeBackAsNaN) {
  UpdateRecord update{.step = 8192,
                      .policy_loss = std::nan(""),
                      .explained_variance = -std::numeric_limits<double>::infinity(),
                      .wall = wall()};
  const std::string json = to_json(update);
  EXPECT_THAT(json, HasSubstr(R"("policy_loss":null)"));
  const UpdateRecord back = parse_update(json).value();
  EXPECT_TRUE(std::isnan(back.policy_loss));
  EXPECT_TRUE(std::isnan(back.explained_variance));
  EXPECT_EQ(back.step, 8192);
  EXPECT_EQ(back.wall, wall());
}

TEST(Records, TextThatIsNotUtf8DoesNotBreakTheJson) {
  const CheckpointRecord checkpoint{.step = 1, .path = "bad\xff", .error = "disk full"};
  EXPECT_EQ(parse_checkpoint(to_json(checkpoint)).value().error, "disk full");
}

TEST(Records, UnknownFieldsOfANewerWriterAreIgnored) {
  EXPECT_TRUE(parse_finished(R"({"step":1,"reason":"x","later":[1]})").has_value());
}

TEST(Records, ErrorsNameTheRecordAndTheField) {
  EXPECT_THAT(parse_finished(R"({"step":1})").error().message,
              HasSubstr("finished record: field «reason» is missing"));
  EXPECT_THAT(parse_finished(R"({"step":1.5,"reason":"x"})").error().message,
              HasSubstr("field «step»: expected an integer"));
  EXPECT_THAT(parse_hello(R"({"pid":99999999999,"step":1,"net":""})").error().message,
              HasSubstr("out of range"));
  EXPECT_THAT(parse_notice(R"({"step":1,"sequence":-1,"seal_ms":0})").error().message,
              HasSubstr("out of range"));
  EXPECT_THAT(parse_finished("{").error().message, HasSubstr("not a JSON document"));
  EXPECT_THAT(parse_finished("[]").error().message, HasSubstr("expected an object"));
}

TEST(Records, RefusesTimesAndWordsThatDoNotExist) {
  std::string json = to_json(EventRecord{.wall = wall(), .kind = "k"});
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string changed = json;
    changed.replace(changed.find(from), from.size(), to);
    return parse_event(changed);
  };
  EXPECT_TRUE(with("\"info\"", "\"error\"").has_value());
  EXPECT_FALSE(with("\"info\"", "\"loud\"").has_value());
  EXPECT_FALSE(with("2026-", "2026-13-").has_value());
  EXPECT_FALSE(with("2026-", "9999-").has_value());
}

TEST(Records, EveryWordIsItsOwn) {
  EXPECT_EQ(to_string(Verdict::NotMeasured), "not_measured");
  EXPECT_EQ(to_string(EvaluationEntry::CurrentAgent), "current_agent");
  EXPECT_EQ(parse_log_level("warning").value(), LogLevel::Warning);
  EXPECT_FALSE(parse_log_level("loud").has_value());
}

}  // namespace
}  // namespace keisei::telemetry
