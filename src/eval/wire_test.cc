#include "eval/wire.h"

#include <gtest/gtest.h>

#include "match/players.h"

namespace keisei::eval {
namespace {

EvaluationRequest small_request() {
  return {.id = "e1",
          .step = 100,
          .opponents = {{"random", match::PlayerKind::Random, -1}},
          .games = 2,
          .opening_plies = 2,
          .max_plies = 30,
          .seed = 5};
}

/// The lines that a worker would write for `request`, header and end included.
std::vector<std::string> honest_lines(const EvaluationRequest& request) {
  std::vector<std::string> lines{header_line(request, "hash")};
  match::RandomPlayer a;
  match::RandomPlayer b;
  const match::MatchOptions options{.games = request.games,
                                    .opening_plies = request.opening_plies,
                                    .seed = request.seed,
                                    .rules = {.max_plies = request.max_plies, .declaration = true}};
  EXPECT_TRUE(match::play_match(a, b, options, [&lines](const match::GameResult& result) {
    lines.push_back(game_line(0, result));
    return true;
  }));
  lines.push_back(final_line(request.games));
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    text += line;
  }
  return text;
}

/// `text` with the first `from` replaced.
std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

void expect_refused(const std::string& text, std::string_view reason) {
  const auto report = parse_report(text, small_request());
  ASSERT_FALSE(report) << text;
  EXPECT_NE(report.error().message.find(reason), std::string::npos) << report.error().message;
}

TEST(ParseReport, ReadsWhatAnHonestWorkerWrites) {
  const auto report = parse_report(joined(honest_lines(small_request())), small_request());
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->complete);
  EXPECT_EQ(report->weights_hash, "hash");
  ASSERT_EQ(report->games.size(), 2U);
  EXPECT_EQ(report->games[0].result.moves.size(), 30U);
}

TEST(ParseReport, KeepsFinishedGamesOfAKilledWorker) {
  auto lines = honest_lines(small_request());
  lines.pop_back();
  lines.back().resize(lines.back().size() / 2);  // killed in the middle of a line
  const auto report = parse_report(joined(lines), small_request());
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->complete);
  EXPECT_EQ(report->games.size(), 1U);
}

TEST(ParseReport, AWorkerThatWasWarnedMayEndEarlyAndSaysSo) {
  const auto lines = honest_lines(small_request());
  const std::string early = lines[0] + lines[1] + early_final_line(1);
  const auto report = parse_report(early, small_request());
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->complete);
  EXPECT_TRUE(report->ended_early);
  EXPECT_EQ(report->games.size(), 1U);
  expect_refused(early + lines[2], "after the end");
  expect_refused(lines[0] + lines[1] + early_final_line(2), "ends after 1 of 2");
  expect_refused(lines[0] + lines[1] + lines[2] + early_final_line(2), "ends after 2 of 2");
  expect_refused(lines[0] + "{\"games\":0,\"partial\":\"perhaps\"}\n", "line 2");
}

TEST(ParseReport, AnEmptyReportIsNotComplete) {
  const auto report = parse_report("", small_request());
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->complete);
}

TEST(ParseReport, RefusesAClaimedResultThatItsMovesDoNotHave) {
  const std::string honest = joined(honest_lines(small_request()));
  expect_refused(replaced(honest, "\"score\":0", "\"score\":1"), "claims");
  expect_refused(replaced(honest, "\"ply_cap\"", "\"checkmate\""), "claims");
}

TEST(ParseReport, RefusesMovesThatAreNotLegalOrGoOnBehindTheEnd) {
  auto lines = honest_lines(small_request());
  const std::string illegal = R"({"opponent":0,"game":0,"score":0,"ending":"ply_cap","moves":")";
  expect_refused(lines[0] + illegal + "1a1z\"}\n", "no legal move at ply 1");
  expect_refused(lines[0] + illegal + "7g7e\"}\n", "no legal move at ply 1");
  expect_refused(lines[0] + replaced(lines[1], "\"}\n", " 7g7f\"}\n"), "no legal move at ply 31");
}

TEST(ParseReport, RefusesAGameThatIsNotOver) {
  const auto lines = honest_lines(small_request());
  expect_refused(lines[0] + R"({"opponent":0,"game":0,"score":0,"ending":"none","moves":"7g7f"})"
                            "\n",
                 "not over");
}

TEST(ParseReport, RefusesGamesThatWereNotAskedForOrComeTwice) {
  const auto lines = honest_lines(small_request());
  expect_refused(lines[0] + lines[1] + lines[1], "comes twice");
  expect_refused(lines[0] + replaced(lines[1], "\"opponent\":0", "\"opponent\":1"),
                 "not asked for");
}

TEST(ParseReport, RefusesAnotherRequestsReportAndOtherVersions) {
  const auto lines = honest_lines(small_request());
  expect_refused(replaced(lines[0], "\"e1\"", "\"e2\""), "another request");
  expect_refused(replaced(lines[0], "\"keisei_report\":1", "\"keisei_report\":9"), "version is 9");
}

TEST(ParseReport, RefusesGarbageNaNAndAFalseEnd) {
  const auto lines = honest_lines(small_request());
  expect_refused("hello\n", "line 1");
  expect_refused(lines[0] + "{\"games\":NaN}\n", "line 2");
  expect_refused(lines[0] + lines[1] + "{\"games\":1}\n", "ends after 1 of 2");
  expect_refused(joined(lines) + lines[1], "after the end");
}

TEST(ParseReport, SurvivesNestingWithoutEnd) {
  for (const char* field : {"keisei_report", "id", "weights"}) {
    expect_refused(fmt::format("{{\"{}\":", field) + std::string(2'000'000, '[') +
                       std::string(2'000'000, ']') + "}\n",
                   "line 1");
  }
}

TEST(ParseReport, QuotesNoControlBytesAndNoNovels) {
  const auto report =
      parse_report("{\"keisei_report\":1,\"id\":\"\\u001b]0;" + std::string(100'000, 'x') + "\"}\n",
                   small_request());
  ASSERT_FALSE(report);
  EXPECT_LT(report.error().message.size(), 400U);
  EXPECT_EQ(report.error().message.find('\x1b'), std::string::npos);
}

TEST(Request, ComesBackFromItsJson) {
  EvaluationRequest request = small_request();
  request.opponents.push_back({"a.safetensors", match::PlayerKind::Checkpoint, 13});
  EXPECT_EQ(parse_request(to_json(request)).value(), request);
}

TEST(Request, RefusesValuesOutOfRange) {
  const std::string good = to_json(small_request());
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"games\": 2", "\"games\": 0"},
           {"\"games\": 2", "\"games\": \"2\""},
           {"\"max_plies\": 30", "\"max_plies\": 40000"},
           {"\"opening_plies\": 2", "\"opening_plies\": 30"},
           {"\"threads\": 1", "\"threads\": 0"},
           {"\"kind\": \"random\"", "\"kind\": \"strong\""},
           {"\"version\": 1", "\"version\": 2"}}) {
    EXPECT_FALSE(parse_request(replaced(good, from, to))) << to;
  }
}

}  // namespace
}  // namespace keisei::eval
