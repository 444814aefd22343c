#include "shogi/game.h"

#include <gtest/gtest.h>

#include "shogi/test_support.h"

namespace keisei::shogi {
namespace {

struct Played {
  Verdict verdict;
  int ply;

  friend bool operator==(const Played&, const Played&) = default;
};

std::ostream& operator<<(std::ostream& out, const Played& played) {
  return out << to_string(played.verdict.ending) << ' ' << played.verdict.score << " at ply "
             << played.ply;
}

/// Plays the moves over and over, until the game is over or the moves were played `times` times.
Played play(std::string_view sfen, const std::string& moves, int times, GameRules rules = {}) {
  Game game(rules);
  const Result<void> set = game.reset(position_of(sfen));
  KEISEI_CHECK(set.has_value(), "{}", set.error().message);
  for (int i = 0; i < times; ++i) {
    for (const std::string& text : split(moves, ' ')) {
      if (!game.is_over()) {
        KEISEI_CHECK(std::ranges::count(game.legal_moves(), move_of(text)) == 1, "{}", text);
        game.play(move_of(text));
      }
    }
  }
  return {game.verdict(), game.ply()};
}

constexpr std::string_view kRookAgainstKing = "4k4/R8/9/9/9/9/9/9/4K4 b - 1";

TEST(Repetition, OfTheStartPositionIsADrawAtTheFourthOccurrence) {
  EXPECT_EQ(play(kStartSfen, "2h3h 8b7b 3h2h 7b8b", 9), (Played{{Ending::Repetition, 0}, 12}));
}

TEST(Repetition, ByPerpetualCheckLosesForTheCheckingSide) {
  // The last move is the king's: its side wins.
  EXPECT_EQ(play(kRookAgainstKing, "9b9a 5a5b 9a9b 5b5a", 9),
            (Played{{Ending::PerpetualCheck, 1}, 12}));
}

TEST(Repetition, ByPerpetualCheckLosesForTheMoverWhenItsCheckCompletesIt) {
  EXPECT_EQ(play("R3k4/9/9/9/9/9/9/9/4K4 w - 1", "5a5b 9a9b 5b5a 9b9a", 9),
            (Played{{Ending::PerpetualCheck, -1}, 12}));
}

TEST(Repetition, WithOneQuietMoveInTheCycleIsADraw) {
  EXPECT_EQ(play(kRookAgainstKing, "9b9a 5a5b 9a9c 5b4a 9c9b 4a5a", 9),
            (Played{{Ending::Repetition, 0}, 18}));
}

TEST(Repetition, NeedsEqualHands) {
  GameHistory history(10);
  const PositionKey empty = position_of("4k4/9/9/9/9/9/9/9/4K4 b - 1").key();
  const PositionKey pawn = position_of("4k4/9/9/9/9/9/9/9/4K4 b P 1").key();
  history.reset(empty);
  history.push(pawn, false);
  history.push(pawn, false);
  EXPECT_EQ(history.earlier_occurrences(), 1);
  history.push(empty, false);
  EXPECT_EQ(history.earlier_occurrences(), 1);
}

TEST(Repetition, WithMutualPerpetualCheckIsADraw) {
  GameHistory history(20);
  history.reset({.board = 1, .hands = 0});
  for (std::uint64_t i = 1; i <= 12; ++i) {
    EXPECT_EQ(history.verdict().ending, Ending::None);
    history.push({.board = 1 + i % 4, .hands = 0}, true);
  }
  EXPECT_EQ(history.verdict(), (Verdict{Ending::Repetition, 0}));
}

TEST(GameHistory, TellsPositionsInOneSlotApart) {
  GameHistory history(4000);
  history.reset({.board = 0, .hands = 0});
  for (std::uint64_t i = 1; i < 4000; ++i) {
    history.push({.board = i << 40, .hands = 0}, false);
    EXPECT_EQ(history.earlier_occurrences(), 0);
  }
}

struct DeclarationRow {
  std::string_view sfen;
  bool may_declare;
};

TEST(Declaration, FollowsThe27PointRule) {
  const DeclarationRow rows[] = {
      {"+R+R+B+BGGSSG/4KS3/9/9/9/9/9/9/4k4 b 2P 1", true},    // 28, ten pieces
      {"+R+R+B+BGGSSG/4KS3/9/9/9/9/9/9/4k4 b P 1", false},    // 27 for Black
      {"4K4/9/9/9/9/9/9/3sk4/gssgg+b+b+r+r w - 1", false},    // 26 for White
      {"4K4/9/9/9/9/9/9/3sk4/gssgg+b+b+r+r w p 1", true},     // 27 for White
      {"+R+R+B+BGGSSG/4K4/9/9/9/9/9/9/4k4 b 3P 1", false},    // nine pieces
      {"+R+R+B+BgGSSG/4KSL2/9/9/9/9/9/9/4k4 b 2P 1", false},  // in check
      {"+R+R+B+BGGSSG/4KS3/9/9/9/9/9/9/4k4 b 5P 1", true},    // 31
      {"+R+R+B+BGGSSG/5S3/9/4K4/9/9/9/9/4k4 b 2P 1", false},  // the king outside
      {"+R+R+B+BGGSSG/4KS3/9/9/9/9/9/9/4k4 w 2P 1", false},   // not its turn
      {"RRBBGGSSG/4KS3/9/9/9/9/9/9/4k4 b 2P 1", true},        // unpromoted counts the same
      {"GGGGSSSS+L/4K+L3/9/9/9/9/9/9/4k4 b 2R2B 1", true},    // 10 + 20 in hand
      {kStartSfen, false},
  };
  for (const DeclarationRow& row : rows) {
    EXPECT_EQ(can_declare(position_of(row.sfen)), row.may_declare) << row.sfen;
  }
}

TEST(Declaration, EndsTheGameAsSoonAsTheSideIsToMove) {
  const std::string_view sfen = "+R+R+B+BGGSSG/4KS3/9/9/9/9/9/9/4k4 w 2P 1";
  EXPECT_EQ(play(sfen, "5i5h", 1), (Played{{Ending::Declaration, -1}, 1}));
  EXPECT_EQ(play(sfen, "5i5h", 1, {.max_plies = 1, .declaration = true}),
            (Played{{Ending::Declaration, -1}, 1}));
  EXPECT_EQ(play(sfen, "5i5h", 1, {.max_plies = 512, .declaration = false}),
            (Played{{Ending::None, 0}, 1}));
}

TEST(GameEnd, CheckmateWins) {
  EXPECT_EQ(play("4k4/9/4P4/9/9/9/9/9/4K4 b G 1", "G*5b", 1), (Played{{Ending::Checkmate, 1}, 1}));
}

TEST(GameEnd, StalemateWinsToo) {
  EXPECT_EQ(play("k8/9/2G6/1N7/9/9/9/9/4K4 b - 1", "7c7b", 1),
            (Played{{Ending::NoLegalMoves, 1}, 1}));
}

TEST(GameEnd, PlyCapIsADraw) {
  EXPECT_EQ(play(kStartSfen, "2h3h 8b7b 3h2h 7b8b", 9, {.max_plies = 5, .declaration = true}),
            (Played{{Ending::PlyCap, 0}, 5}));
}

TEST(GameEnd, MateOnTheLastPlyCounts) {
  EXPECT_EQ(play("4k4/9/4P4/9/9/9/9/9/4K4 b G 1", "G*5b", 1, {.max_plies = 1, .declaration = true}),
            (Played{{Ending::Checkmate, 1}, 1}));
}

TEST(GameEnd, RepetitionOnTheLastPlyCounts) {
  EXPECT_EQ(play(kStartSfen, "2h3h 8b7b 3h2h 7b8b", 9, {.max_plies = 12, .declaration = true}),
            (Played{{Ending::Repetition, 0}, 12}));
}

TEST(Game, RefusesToStartWhereItWouldBeOver) {
  Game game(GameRules{});
  EXPECT_FALSE(game.reset(position_of("4k4/4G4/4P4/9/9/9/9/9/4K4 w - 1")).has_value());
  EXPECT_FALSE(game.reset(position_of("+R+R+B+BGGSSG/4KS3/9/9/9/9/9/9/4k4 b 2P 1")).has_value());
  EXPECT_EQ(game.position(), Position::start());
  EXPECT_EQ(game.legal_moves().size(), 30U);
}

TEST(Game, CountsRepetitionAnewAfterReset) {
  Game game(GameRules{});
  for (int i = 0; i < 2; ++i) {
    game.reset();
    for (const char* move : {"2h3h", "8b7b", "3h2h", "7b8b"}) {
      EXPECT_EQ(game.earlier_occurrences(), 0);
      game.play(move_of(move));
    }
    EXPECT_EQ(game.earlier_occurrences(), 1);
  }
}

TEST(Game, NamesEveryEnding) {
  for (int i = 0; i < kEndingCount; ++i) {
    EXPECT_NE(to_string(static_cast<Ending>(i)), "unknown");
  }
}

}  // namespace
}  // namespace keisei::shogi
