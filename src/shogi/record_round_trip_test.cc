#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>

#include "shogi/csa.h"
#include "shogi/kif.h"
#include "shogi/record_test_support.h"
#include "shogi/record_text.h"
#include "shogi/usi_record.h"

namespace keisei::shogi {
namespace {

constexpr int kGames = 1000;
constexpr std::uint32_t kPlies = 200;

template <typename Visit>
void for_each_random_record(Visit visit) {
  for (int i = 0; i < kGames; ++i) {
    Rng rng(5, static_cast<std::uint64_t>(i));
    SCOPED_TRACE(i);
    visit(random_record(rng, kPlies));
  }
}

GameRecord only_game(Result<ReadRecords> read) {
  EXPECT_TRUE(read) << read.error().message;
  EXPECT_THAT(read->left_out, testing::IsEmpty());
  EXPECT_EQ(read->games.size(), 1);
  return read->games.front();
}

TEST(RecordRoundTrip, CsaKeepsEverything) {
  for_each_random_record([](const GameRecord& record) {
    const WrittenRecords written = write_csa(std::span(&record, 1));
    EXPECT_THAT(written.left_out, testing::IsEmpty());
    ASSERT_EQ(only_game(read_csa(written.text)), record) << written.text;
  });
}

TEST(RecordRoundTrip, KifKeepsEverything) {
  for_each_random_record([](const GameRecord& record) {
    const WrittenRecords written = write_kif(record);
    EXPECT_THAT(written.left_out, testing::IsEmpty());
    ASSERT_EQ(only_game(read_kif(written.text)), record) << written.text;
  });
}

TEST(RecordRoundTrip, NoKeyOfCsaChangesTheGameOnItsWayThroughKif) {
  const std::vector<std::string> keys = {
      "変化",   "変化 ", "1",        "１２", "手番", "先手",   "下手",     "後手の持駒",
      "手合割", "*",     "#",        "&",    "|",    "+-",     "まで",     "手数",
      "9 8",    "’",     "盤面回転", "NOTE", "　",   "手数＝", "手数----", "x：y"};
  const std::vector<std::string> values = {"1手",  "後手",    "香落ち",
                                           "なし", "+7776FU", "1 ７六歩(77)"};
  for_each_random_record([&](const GameRecord& record) {
    std::string csa = write_csa(std::span(&record, 1)).text;
    Rng rng(6, record.moves.size());
    for (int i = 0; i < 5; ++i) {
      const auto& key = keys[rng.below(static_cast<std::uint32_t>(keys.size()))];
      const auto& value = values[rng.below(static_cast<std::uint32_t>(values.size()))];
      csa.insert(csa.find("V3.0\n") + 5, fmt::format("${}:{}\n", key, value));
    }
    const auto read = read_csa(csa);
    ASSERT_TRUE(read) << read.error().message << "\n" << csa;
    const auto again = read_kif(write_kif(read->games.front()).text);
    ASSERT_TRUE(again) << again.error().message << "\n" << csa;
    GameRecord game = again->games.front();
    game.details = record.details;
    ASSERT_EQ(game, record) << csa;
  });
}

TEST(RecordRoundTrip, ShiftJisKeepsEverything) {
  for_each_random_record([](const GameRecord& record) {
    const std::string text = write_kif(record).text;
    const auto encoded = encode_shift_jis(text);
    ASSERT_TRUE(encoded) << encoded.error().message;
    EXPECT_EQ(encoded->replaced, 0);
    const auto decoded = decode_record(encoded->bytes);
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(decoded->encoding, TextEncoding::ShiftJis);
    ASSERT_EQ(decoded->text, text);
  });
}

TEST(RecordRoundTrip, UsiKeepsStartMovesAndTheCommentBefore) {
  for_each_random_record([](const GameRecord& record) {
    GameRecord kept;
    kept.start = record.start;
    kept.comment = record.comment;
    for (const RecordedMove& played : record.moves) {
      kept.moves.push_back({.move = played.move, .time = {}, .comment = {}});
    }
    const WrittenRecords written = write_usi_record(std::span(&record, 1));
    EXPECT_THAT(written.left_out, testing::Contains("names of players"));
    ASSERT_EQ(only_game(read_usi_record(written.text)), kept) << written.text;
  });
}

TEST(RecordRoundTrip, SeveralGamesShareAFileOfCsaAndOfUsi) {
  std::vector<GameRecord> games;
  for_each_random_record([&](const GameRecord& record) {
    if (games.size() < 20) {
      games.push_back(record);
    }
  });
  const auto csa = read_csa(write_csa(games).text);
  ASSERT_TRUE(csa) << csa.error().message;
  EXPECT_EQ(csa->games, games);
  const auto usi = read_usi_record(write_usi_record(games).text);
  ASSERT_TRUE(usi) << usi.error().message;
  EXPECT_EQ(usi->games.size(), games.size());
}

TEST(RecordRoundTrip, CarriageReturnsChangeNothing) {
  for_each_random_record([](const GameRecord& record) {
    std::string text;
    for (const char c : write_csa(std::span(&record, 1)).text) {
      text += c == '\n' ? "\r\n" : std::string{c};
    }
    ASSERT_EQ(only_game(read_csa(text)), record) << text;
  });
}

}  // namespace
}  // namespace keisei::shogi
