#include "shogi/csa.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shogi/test_support.h"

namespace keisei::shogi {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

GameRecord read_one(std::string_view text) {
  const auto read = read_csa(text);
  EXPECT_TRUE(read) << read.error().message;
  return read ? read->games.front() : GameRecord{};
}

std::string written(const GameRecord& game) { return write_csa(std::span(&game, 1)).text; }

constexpr std::string_view kFull =
    "'CSA encoding=UTF-8\n"
    "V3.0\n"
    "N+先手\n"
    "N-Gote\n"
    "$EVENT:event\n"
    "$START_TIME:2026/11/25 10:00:00\n"
    "PI\n"
    "+\n"
    "'*to begin with\n"
    "+7776FU\n"
    "T12.345\n"
    "-3334FU\n"
    "'*first\n"
    "'*\n"
    "'*third\n"
    "+8822UM\n"
    "T0\n"
    "-3122GI\n"
    "+0055KA\n"
    "%TORYO\n"
    "T7\n"
    "'*the end\n";

TEST(Csa, ReadsNamesDetailsTimesAndComments) {
  const GameRecord game = read_one(kFull);
  EXPECT_THAT(game.players, ElementsAre("先手", "Gote"));
  ASSERT_EQ(game.details.size(), 2);
  EXPECT_EQ(game.details[0].key, "EVENT");
  EXPECT_EQ(game.details[0].value, "event");
  EXPECT_THAT(game.comment, ElementsAre("to begin with"));
  ASSERT_EQ(game.moves.size(), 5);
  EXPECT_EQ(game.moves[0].time, 12345ms);
  EXPECT_EQ(game.moves[1].time, std::nullopt);
  EXPECT_THAT(game.moves[1].comment, ElementsAre("first", "", "third"));
  EXPECT_EQ(game.moves[2].time, 0ms);
  EXPECT_EQ(game.moves[2].move, move_of("8h2b+"));
  EXPECT_EQ(game.moves[4].move, move_of("B*5e"));
  EXPECT_EQ(game.end, RecordEnd::Resignation);
  EXPECT_EQ(game.end_time, 7s);
  EXPECT_THAT(game.end_comment, ElementsAre("the end"));
}

TEST(Csa, WritesWhatItReads) { EXPECT_EQ(written(read_one(kFull)), kFull); }

TEST(Csa, DrawsAStartThatIsNotEven) {
  GameRecord game;
  game.start = position_of("l3k4/9/4P1+B2/9/9/9/9/9/4K4 w GPr3p 1");
  const std::string text = written(game);
  EXPECT_THAT(text, HasSubstr("P1-KY *  *  * -OU *  *  *  * \n"));
  EXPECT_THAT(text, HasSubstr("P3 *  *  *  * +FU * +UM *  * \n"));
  EXPECT_THAT(text, HasSubstr("\nP+00KI00FU\nP-00HI00FU00FU00FU\n-\n"));
  EXPECT_EQ(read_one(text), game);
}

TEST(Csa, AFoulIsTheMoversOrTheOthers) {
  const std::string even = "PI\n+\n+7776FU\n";
  EXPECT_EQ(read_one(even + "%ILLEGAL_MOVE\n").end, RecordEnd::Foul);
  EXPECT_EQ(read_one(even + "%-ILLEGAL_ACTION\n").end, RecordEnd::Foul);
  EXPECT_EQ(read_one(even + "%+ILLEGAL_ACTION\n").end, RecordEnd::OpponentFoul);
  GameRecord game = read_one(even);
  game.end = RecordEnd::OpponentFoul;
  EXPECT_THAT(written(game), HasSubstr("\n%+ILLEGAL_ACTION\n"));
}

TEST(Csa, AnIllegalMoveThatIsMarkedAsOneEndsTheGameBeforeIt) {
  for (const std::string end : {"%ILLEGAL_MOVE\n", "T3\n%+ILLEGAL_ACTION\n"}) {
    const auto read = read_csa("PI\n+\n+7775FU\n" + end);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_THAT(read->games.front().moves, IsEmpty());
    EXPECT_EQ(read->games.front().end, RecordEnd::Foul);
    EXPECT_THAT(read->left_out, ElementsAre(HasSubstr("the illegal move before the end in line")));
  }
}

TEST(Csa, EveryEndThatItHasAWordForIsReadAsItWasWritten) {
  for (int i = 0; i < kRecordEndCount; ++i) {
    GameRecord game;
    game.end = static_cast<RecordEnd>(i);
    const WrittenRecords text = write_csa(std::span(&game, 1));
    const bool no_word =
        game.end == RecordEnd::WinByDefault || game.end == RecordEnd::LossByDefault;
    EXPECT_EQ(text.left_out.empty(), !no_word) << i;
    EXPECT_EQ(read_one(text.text).end, no_word ? RecordEnd::None : game.end);
  }
}

TEST(Csa, NamesWhatItHasNoPlaceFor) {
  GameRecord game;
  game.start = position_of("lnsgkgsnl/1r5b1/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL b - 7");
  game.details = {{.key = "完全性", .value = "x"},
                  {.key = "TIME_LIMIT", .value = "25分"},
                  {.key = "START_TIME", .value = "令和8年"},
                  {.key = "END_TIME", .value = "2026/11/25(水) 10:00"}};
  const WrittenRecords text = write_csa(std::span(&game, 1));
  EXPECT_THAT(text.left_out, ElementsAre("the detail «START_TIME»", "the detail «TIME_LIMIT»",
                                         "the detail «完全性»", "the number of the first move"));
  EXPECT_THAT(text.text, HasSubstr("V3.0\n$END_TIME:2026/11/25 10:00:00\nPI\n+\n"));
}

TEST(Csa, WritesOnlyDatesThatItHas) {
  for (const auto& [date, out] : std::vector<std::pair<std::string, std::string>>{
           {"2026/11/25", "2026/11/25"},
           {"2026/11/25 （水） 10:00", ""},
           {"2026/11/25 10:00:09", "2026/11/25 10:00:09"},
           {"2026/11/25(Wed)10:00", ""},
           {"2026/1/5", ""},
           {"(Wed)", ""}}) {
    GameRecord game;
    game.details = {{.key = "START_TIME", .value = date}};
    const WrittenRecords text = write_csa(std::span(&game, 1));
    EXPECT_EQ(text.text.find("START_TIME") == std::string::npos, out.empty()) << date;
    EXPECT_EQ(text.left_out.empty(), !out.empty()) << date;
    EXPECT_THAT(text.text, HasSubstr(out));
  }
}

TEST(Csa, NamesTheTimeAndTheCommentOfAnEndWithoutAWord) {
  GameRecord game;
  game.end = RecordEnd::WinByDefault;
  game.end_time = 3s;
  EXPECT_THAT(write_csa(std::span(&game, 1)).left_out,
              ElementsAre("a win or a loss by default",
                          "the time and the comments of an end that CSA has no word for"));
}

TEST(Csa, NamesPlainCommentsAndWhatFollowsAnIllegalMove) {
  const auto plain = read_csa("'CSA encoding=UTF-8\n'---\nPI\n+\n+7776FU,'said\n");
  ASSERT_TRUE(plain) << plain.error().message;
  EXPECT_THAT(plain->left_out, ElementsAre("comments for programs (' without *)"));
  const auto foul = read_csa("PI\n+\n+7776FU\n-3333FU\n'*oh\n%ILLEGAL_MOVE\n");
  ASSERT_TRUE(foul) << foul.error().message;
  EXPECT_THAT(foul->games.front().moves.front().comment, IsEmpty());
  EXPECT_THAT(foul->left_out, testing::Contains("comments after an illegal move"));
}

TEST(Csa, KnowsOfWhichGameSomethingIsLeftOut) {
  const auto read = read_csa("PI\n+\n'plain\n/\nPI\n+\n");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->left_out_of.size(), 2);
  EXPECT_EQ(read->left_out_of[0], read->left_out);
  EXPECT_THAT(read->left_out_of[1], IsEmpty());
}

}  // namespace
}  // namespace keisei::shogi
