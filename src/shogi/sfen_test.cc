#include "shogi/sfen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shogi/test_support.h"

namespace keisei::shogi {
namespace {

using std::string_literals::operator""s;

TEST(Sfen, SurvivesTheRoundTripInRandomGames) {
  for_each_random_position(20, 21, [](const Game& game) {
    const std::string text = to_sfen(game.position());
    const Result<Position> read = parse_sfen(text);
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(*read, game.position());
    EXPECT_EQ(to_sfen(*read), text);
  });
}

TEST(Sfen, ReadsHandsInAnyOrderAndWritesTheCanonicalOne) {
  EXPECT_EQ(to_sfen(position_of("4k4/9/9/9/9/9/9/9/4K4 b p2bS9PGlR 1")),
            "4k4/9/9/9/9/9/9/9/4K4 b RGS9P2blp 1");
}

TEST(Sfen, ReadsTheLargestHands) {
  EXPECT_EQ(position_of("4k4/9/9/9/9/9/9/9/4K4 b 2R2B4G4S4N4L18P 99999")
                .hand(Color::Black)
                .count(Kind::Pawn),
            18);
}

struct Bad {
  std::string text;
  std::string reason;  // part of the message
};

std::ostream& operator<<(std::ostream& out, const Bad& bad) { return out << in_quotes(bad.text); }

class BadSfen : public testing::TestWithParam<Bad> {};

TEST_P(BadSfen, IsRefusedWithTheReason) {
  const Result<Position> position = parse_sfen(GetParam().text);
  ASSERT_FALSE(position.has_value());
  EXPECT_THAT(position.error().message, testing::HasSubstr(GetParam().reason));
}

INSTANTIATE_TEST_SUITE_P(
    Fields, BadSfen,
    testing::Values(Bad{"", "four fields"}, Bad{" ", "four fields"}, Bad{"b", "four fields"},
                    Bad{"startpos", "four fields"}, Bad{"4k4/9/9/9/9/9/9/9/4K4 b -", "four fields"},
                    Bad{" 4k4/9/9/9/9/9/9/9/4K4 b - 1", "four fields"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4  b - 1", "four fields"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4 b - ", "four fields"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4 b - 1 ", "move number"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4 b - 1 moves 5i5h", "move number"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4 b - 1\n", "move number"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4 b - 1\0"s, "move number"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4\tb\t-\t1", "four fields"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4 B - 1", "side to move"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4 bw - 1", "side to move"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4 x - 1", "side to move"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4 b - 0", "move number"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4 b - 01", "move number"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4 b - -1", "move number"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4 b - +1", "move number"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4 b - 1.5", "move number"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4 b - 100000", "move number"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4 b - 99999999999999999999999999", "move number"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4 b - 0x1", "move number"},
                    Bad{std::string(100000, '9'), "bytes long"},
                    Bad{std::string(513, '/'), "bytes long"}));

INSTANTIATE_TEST_SUITE_P(
    Board, BadSfen,
    testing::Values(Bad{"4k4/9/9/9/9/9/9/9 b - 1", "8 ranks"}, Bad{"4k4 b - 1", "1 ranks"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4/9 b - 1", "rank i"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4/ b - 1", "rank i"},
                    Bad{"4k3/9/9/9/9/9/9/9/4K4 b - 1", "rank a"},
                    Bad{"4k4/8/9/9/9/9/9/9/4K4 b - 1", "rank b"},
                    Bad{"4k4/9P/9/9/9/9/9/9/4K4 b - 1", "10 squares"},
                    Bad{"4k4//9/9/9/9/9/9/4K4 b - 1", "0 squares"},
                    Bad{"4k4/54/9/9/9/9/9/9/4K4 b - 1", "rank b"},
                    Bad{"4k4/0p8/9/9/9/9/9/9/4K4 b - 1", "rank b"},
                    Bad{"4k4/9/9/4x4/9/9/9/9/4K4 b - 1", "rank d"},
                    Bad{"4k4/9/9/4\xff"
                        "4/9/9/9/9/4K4 b - 1",
                        "\\xff"},
                    Bad{"4k4/9/9/4\0"
                        "4/9/9/9/9/4K4 b - 1"s,
                        "\\x00"},
                    Bad{"4k4/9/9/4+G4/9/9/9/9/4K4 b - 1", "rank d"},
                    Bad{"4+k4/9/9/9/9/9/9/9/4K4 b - 1", "rank a"},
                    Bad{"4k4/9/9/4+44/9/9/9/9/4K4 b - 1", "rank d"},
                    Bad{"4k4/9/9/8+/9/9/9/9/4K4 b - 1", "rank d"},
                    Bad{"4k4/9/9/4++P4/9/9/9/9/4K4 b - 1", "rank d"},
                    Bad{"4k4/9/9/ppppppppppppppppppppp/9/9/9/9/4K4 b - 1", "21 squares"},
                    Bad{std::string(400, '9') + "/9/9/9/9/9/9/9/4K4 b - 1", "rank a"}));

INSTANTIATE_TEST_SUITE_P(Hands, BadSfen,
                         testing::Values(Bad{"4k4/9/9/9/9/9/9/9/4K4 b x 1", "held"},
                                         Bad{"4k4/9/9/9/9/9/9/9/4K4 b K 1", "held"},
                                         Bad{"4k4/9/9/9/9/9/9/9/4K4 b +P 1", "held"},
                                         Bad{"4k4/9/9/9/9/9/9/9/4K4 b 2 1", "held"},
                                         Bad{"4k4/9/9/9/9/9/9/9/4K4 b P- 1", "held"},
                                         Bad{"4k4/9/9/9/9/9/9/9/4K4 b -- 1", "held"},
                                         Bad{"4k4/9/9/9/9/9/9/9/4K4 b 0P 1", "2 or more"},
                                         Bad{"4k4/9/9/9/9/9/9/9/4K4 b 1P 1", "2 or more"},
                                         Bad{"4k4/9/9/9/9/9/9/9/4K4 b 02P 1", "2 or more"},
                                         Bad{"4k4/9/9/9/9/9/9/9/4K4 b PP 1", "twice"},
                                         Bad{"4k4/9/9/9/9/9/9/9/4K4 b P2P 1", "twice"},
                                         Bad{"4k4/9/9/9/9/9/9/9/4K4 b 19P 1", "a set has 18"},
                                         Bad{"4k4/9/9/9/9/9/9/9/4K4 b 3r 1", "a set has 2"},
                                         Bad{"4k4/9/9/9/9/9/9/9/4K4 b 999P 1", "a set has 18"},
                                         Bad{"4k4/9/9/9/9/9/9/9/4K4 b 4294967297P 1", "held"}));

INSTANTIATE_TEST_SUITE_P(
    Position, BadSfen,
    testing::Values(Bad{"9/9/9/9/9/9/9/9/4K4 b - 1", "white has 0 kings"},
                    Bad{"4k4/9/9/9/9/9/9/9/9 b - 1", "black has 0 kings"},
                    Bad{"4k4/9/9/9/9/9/9/9/3KK4 b - 1", "black has 2 kings"},
                    Bad{"k3k4/9/9/9/9/9/9/9/4K4 b - 1", "white has 2 kings"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K4 b 10P9p 1", "19 pawns"},
                    Bad{"4k4/9/2PPPPPPP/9/9/9/9/9/4K4 b 12p 1", "19 pawns"},
                    Bad{"4k4/9/4+P4/9/9/9/9/9/4K4 b 18p 1", "19 pawns"},
                    Bad{"4k4/9/4R4/4+r4/9/9/9/9/4K4 b r 1", "3 rooks"},
                    Bad{"4k4/9/9/4+S4/9/9/9/9/4K4 b 2S2s 1", "5 silvers"},
                    Bad{"4k4/9/9/9/4P4/9/4P4/9/4K4 b - 1", "black has two pawns on file 5"},
                    Bad{"4k4/9/9/p8/9/p8/9/9/4K4 b - 1", "white has two pawns on file 9"},
                    Bad{"4k3P/9/9/9/9/9/9/9/4K4 b - 1", "black pawn on 1a"},
                    Bad{"4k4/9/9/9/9/9/9/9/p3K4 b - 1", "white pawn on 9i"},
                    Bad{"L3k4/9/9/9/9/9/9/9/4K4 b - 1", "black lance on 9a"},
                    Bad{"4k4/9/9/9/9/9/9/9/4K3l b - 1", "white lance on 1i"},
                    Bad{"N3k4/9/9/9/9/9/9/9/4K4 b - 1", "black knight on 9a"},
                    Bad{"4k4/N8/9/9/9/9/9/9/4K4 b - 1", "black knight on 9b"},
                    Bad{"4k4/9/9/9/9/9/9/8n/4K4 b - 1", "white knight on 1h"},
                    Bad{"4k4/4P4/9/9/9/9/9/9/4K4 b - 1", "white is in check, but black is to move"},
                    Bad{"4k4/9/9/9/4R4/9/9/9/4K4 b - 1", "white is in check"},
                    Bad{"4k4/9/9/9/9/9/9/4p4/4K4 w - 1", "black is in check, but white is to move"},
                    Bad{"9/9/9/9/4k4/4K4/9/9/9 b - 1", "white is in check"}));

TEST(Sfen, NeverCrashesOnDamagedText) {
  const std::string good(kStartSfen);
  Rng rng(22, 0);
  for (int i = 0; i < 20000; ++i) {
    std::string text = good;
    for (std::uint32_t edits = 1 + rng.below(4); edits > 0; --edits) {
      const auto at = rng.below(static_cast<std::uint32_t>(text.size()));
      if (rng.below(3) == 0) {
        text.erase(at, 1 + rng.below(5));
      } else {
        text[at] = static_cast<char>(rng.below(256));
      }
      text += text.empty() ? "b" : "";
    }
    const Result<Position> position = parse_sfen(text);
    if (position) {
      EXPECT_TRUE(parse_sfen(to_sfen(*position)).has_value()) << in_quotes(text);
    } else {
      EXPECT_FALSE(position.error().message.empty());
    }
  }
}

}  // namespace
}  // namespace keisei::shogi
