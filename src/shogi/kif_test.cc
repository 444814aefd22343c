#include "shogi/kif.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shogi/kif_words.h"
#include "shogi/test_support.h"

namespace keisei::shogi {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

GameRecord read_one(std::string_view text) {
  const auto read = read_kif(text);
  EXPECT_TRUE(read) << read.error().message;
  return read ? read->games.front() : GameRecord{};
}

constexpr std::string_view kFull =
    "棋戦：event\n"
    "開始日時：2026/11/25(水) 10:00:00\n"
    "手合割：平手\n"
    "先手：先手の人\n"
    "後手：Gote\n"
    "手数----指手---------消費時間--\n"
    "*to begin with\n"
    "   1 ７六歩(77)   ( 0:12/00:00:12)\n"
    "   2 ３四歩(33)\n"
    "*first\n"
    "*\n"
    "*third\n"
    "   3 ２二角成(88) (61:02/01:01:14)\n"
    "   4 同　銀(31)   ( 0:00/00:00:00)\n"
    "   5 ５五角打\n"
    "   6 投了         ( 0:07/00:00:07)\n"
    "*the end\n"
    "まで5手で先手の勝ち\n";

TEST(Kif, ReadsNamesDetailsTimesAndComments) {
  const GameRecord game = read_one(kFull);
  EXPECT_THAT(game.players, ElementsAre("先手の人", "Gote"));
  ASSERT_EQ(game.details.size(), 2);
  EXPECT_EQ(game.details[0].key, "EVENT");
  EXPECT_EQ(game.details[1].key, "START_TIME");
  EXPECT_THAT(game.comment, ElementsAre("to begin with"));
  ASSERT_EQ(game.moves.size(), 5);
  EXPECT_EQ(game.moves[0].time, 12s);
  EXPECT_EQ(game.moves[1].time, std::nullopt);
  EXPECT_THAT(game.moves[1].comment, ElementsAre("first", "", "third"));
  EXPECT_EQ(game.moves[2].time, 1h + 1min + 2s);
  EXPECT_EQ(game.moves[3].move, move_of("3a2b"));
  EXPECT_EQ(game.moves[4].move, move_of("B*5e"));
  EXPECT_EQ(game.end, RecordEnd::Resignation);
  EXPECT_EQ(game.end_time, 7s);
  EXPECT_THAT(game.end_comment, ElementsAre("the end"));
}

TEST(Kif, WritesWhatItReads) { EXPECT_EQ(write_kif(read_one(kFull)).text, kFull); }

TEST(Kif, NamesAHandicapThatEveryProgramKnowsAndDrawsTheOthers) {
  for (const KifHandicap& handicap : kif_handicaps()) {
    GameRecord game;
    game.start = position_of(handicap.sfen);
    const std::string text = write_kif(game).text;
    EXPECT_EQ(text.find(handicap.name) != std::string::npos, handicap.written) << handicap.name;
    EXPECT_EQ(read_one(text), game);
    EXPECT_EQ(read_one(fmt::format("手合割：{}\n", handicap.name)), game);
  }
}

TEST(Kif, ThePiecesMissingFromAHandicapAreThoseOfItsName) {
  for (const KifHandicap& handicap : kif_handicaps()) {
    const std::string_view name = handicap.name;
    const Position start = position_of(handicap.sfen);
    const auto has = [&](int file, int rank) {
      return start.at(square_at(file - 1, rank - 1)) != Piece::None;
    };
    const bool many = name.find("枚") != std::string_view::npos;
    const bool two = name == "二枚落ち";
    EXPECT_EQ(has(2, 2), name.find("角") == std::string_view::npos && !many) << name;
    EXPECT_EQ(has(8, 2), name.find("飛") == std::string_view::npos && !many) << name;
    EXPECT_EQ(has(9, 1), name != "右香落ち" && (!many || two || name == "三枚落ち")) << name;
    EXPECT_EQ(has(1, 1),
              (name == "右香落ち" || name.find("香") == std::string_view::npos) && (!many || two))
        << name;
    EXPECT_EQ(start.side(), name == "平手" ? Color::Black : Color::White) << name;
    EXPECT_EQ(start.pieces(Color::Black).count(), 20) << name;
  }
}

TEST(Kif, DrawsAStartThatHasNoName) {
  GameRecord game;
  game.start = position_of("l3k4/9/4P1+B2/9/9/9/9/9/4K4 w G2P2r13p 1");
  const std::string text = write_kif(game).text;
  EXPECT_THAT(text, HasSubstr("後手の持駒：飛二　歩十三　\n"));
  EXPECT_THAT(text, HasSubstr("|v香 ・ ・ ・v玉 ・ ・ ・ ・|一\n"));
  EXPECT_THAT(text, HasSubstr("| ・ ・ ・ ・ 歩 ・ 馬 ・ ・|三\n"));
  EXPECT_THAT(text, HasSubstr("先手の持駒：金　歩二　\n後手番\n"));
  EXPECT_EQ(read_one(text), game);
}

TEST(Kif, WhoGivesAHandicapIsTheUpperHand) {
  const GameRecord game = read_one("手合割：角落ち\n下手：A\n上手：B\n1 ３四歩(33)\n2 投了\n");
  EXPECT_THAT(game.players, ElementsAre("A", "B"));
  const std::string text = write_kif(game).text;
  EXPECT_THAT(text, HasSubstr("下手：A\n上手：B\n"));
  EXPECT_THAT(text, HasSubstr("まで1手で上手の勝ち\n"));
}

TEST(Kif, EveryEndThatItHasAWordForIsReadAsItWasWritten) {
  for (int i = 0; i < kRecordEndCount; ++i) {
    GameRecord game;
    game.end = static_cast<RecordEnd>(i);
    const WrittenRecords text = write_kif(game);
    const bool exact =
        game.end == RecordEnd::None || !kKifEnds[static_cast<std::size_t>(i)].empty();
    EXPECT_EQ(text.left_out.empty(), exact) << i;
    const RecordEnd end = read_one(text.text).end;
    EXPECT_EQ(end == game.end, exact) << i;
    EXPECT_EQ(end == RecordEnd::None, game.end == RecordEnd::None) << i;
  }
}

TEST(Kif, TheLastLineSaysHowTheGameEndedWhereNoMoveDoes) {
  const std::string black_moved = "1 ７六歩(77)\n";
  for (const auto& [line, end] : std::vector<std::pair<std::string, RecordEnd>>{
           {"まで1手で先手の勝ち", RecordEnd::Resignation},
           {"まで1手で時間切れにより先手の勝ち", RecordEnd::TimeForfeit},
           {"まで1手で後手の反則負け", RecordEnd::Foul},
           {"まで1手で先手の反則勝ち", RecordEnd::Foul},
           {"まで1手で後手の反則勝ち", RecordEnd::OpponentFoul},
           {"まで1手で先手の反則負け", RecordEnd::OpponentFoul},
           {"まで1手で後手の入玉勝ち", RecordEnd::Declaration},
           {"まで1手で千日手", RecordEnd::Repetition},
           {"まで1手で持将棋", RecordEnd::Impasse},
           {"まで1手で中断", RecordEnd::Interruption},
           {"まで1手で不詰", RecordEnd::NoCheckmate},
           {"まで1手詰", RecordEnd::Checkmate}}) {
    EXPECT_EQ(read_one(black_moved + line + "\n").end, end) << line;
  }
  EXPECT_EQ(read_one(black_moved + "2 中断\nまで1手で先手の勝ち\n").end, RecordEnd::Interruption);
  const auto unknown = read_kif(black_moved + "まで1手で後手の勝ち\n");
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->games.front().end, RecordEnd::None);
  EXPECT_THAT(unknown->left_out, ElementsAre(HasSubstr("まで")));
}

TEST(Kif, VariationsAndBookmarksAreLeftOutAndNamed) {
  const auto read = read_kif(
      "1 ７六歩(77)+\n&mark\n2 投了\n\n変化：2手\n2 ３四歩(33)\n\n変化：1手\n*x\n1 ２六歩(27)\n");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->games.front().moves.size(), 1);
  EXPECT_THAT(read->games.front().end_comment, IsEmpty());
  EXPECT_THAT(read->left_out, ElementsAre("bookmarks (&)", "variations (2)"));
}

TEST(Kif, OnlyAHeadingOfAVariationBeginsOne) {
  const auto read =
      read_kif("変化手順：x\n変化：y\n手数：z\n1 ７六歩(77)\n変化: ２手\n2 ８四歩(83)\n");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->games.front().details.size(), 3);
  EXPECT_EQ(read->games.front().moves.size(), 1);
  EXPECT_THAT(read->left_out, ElementsAre("variations (1)"));
}

TEST(Kif, SkipsAndNamesHowTheBoardWasSeenAndWhatCameBefore) {
  const auto read = read_kif("手合割：平手\n盤面回転\n手数＝3  ▲７六歩  まで\n1 ７六歩(77)\n");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->games.front().moves.size(), 1);
  EXPECT_THAT(read->left_out, ElementsAre(HasSubstr("手数＝"), HasSubstr("盤面回転")));
}

TEST(Kif, KeysThatWouldBeReadAsSomethingElseAreLeftOutAndNamed) {
  for (const std::string key : {"変化", "1", "１", "手番", "手合割", "先手", "上手の持駒", "*",
                                "#x", "&", "|", "+", "まで", "手数", "a：b", "まで1手"}) {
    GameRecord game;
    game.moves = {{.move = move_of("7g7f"), .time = {}, .comment = {}}};
    game.details = {{.key = key, .value = "1手"}, {.key = "EVENT", .value = "後手"}};
    const WrittenRecords written = write_kif(game);
    EXPECT_EQ(written.left_out.size(), 1) << key;
    game.details.erase(game.details.begin());
    EXPECT_EQ(read_one(written.text), game) << key;
  }
}

TEST(Kif, AnIllegalMoveThatIsMarkedAsOneEndsTheGameBeforeIt) {
  for (const std::string end : {"2 反則勝ち\n", "2 反則負け\n", "まで1手で先手の反則負け\n"}) {
    const auto read = read_kif("1 ７五歩(77)   ( 0:01/00:00:01)\n" + end);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_THAT(read->games.front().moves, IsEmpty());
    EXPECT_EQ(read->games.front().end, RecordEnd::Foul) << end;
    EXPECT_THAT(read->left_out, Not(IsEmpty()));
  }
}

TEST(Kif, NamesWhatItHasNoPlaceFor) {
  GameRecord game;
  game.start = position_of("lnsgkgsnl/1r5b1/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL b - 7");
  game.moves = {{.move = move_of("7g7f"), .time = 1500ms, .comment = {}}};
  game.end = RecordEnd::MaxMoves;
  EXPECT_THAT(write_kif(game).left_out,
              ElementsAre("how a game ended (持将棋 stands for it)", "parts of seconds",
                          "the number of the first move"));
}

TEST(Kif, CountsInKanji) {
  for (int count = 1; count <= 19; ++count) {
    const std::string kanji = kif_count(count);
    std::string_view text = kanji;
    EXPECT_EQ(take_kif_count(text), count);
    EXPECT_THAT(text, IsEmpty());
  }
}

}  // namespace
}  // namespace keisei::shogi
