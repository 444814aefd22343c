#include "shogi/movegen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shogi/legality.h"
#include "shogi/test_support.h"

namespace keisei::shogi {
namespace {

struct Row {
  std::string name;
  std::string sfen;
  std::size_t count;
  std::vector<std::string> legal;
  std::vector<std::string> illegal;
  std::vector<std::string> exact;
};

std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.sfen; }

std::vector<std::string> moves_in(const std::string& field) {
  return field == "-" ? std::vector<std::string>{} : split(field, ' ');
}

std::vector<Row> rows() {
  std::vector<Row> found;
  for (const auto& row : read_table("rules.tsv")) {
    found.push_back({row.at(0), row.at(1), std::stoul(row.at(2)), moves_in(row.at(3)),
                     moves_in(row.at(4)), row.size() > 5 ? moves_in(row[5]) : moves_in("-")});
  }
  return found;
}

std::string name_of(const testing::TestParamInfo<Row>& info) { return test_name(info.param.name); }

class RulesTable : public testing::TestWithParam<Row> {};

TEST_P(RulesTable, GeneratesTheExactSet) {
  const std::vector<std::string> moves = sorted_usi(position_of(GetParam().sfen));
  EXPECT_EQ(moves.size(), GetParam().count);
  EXPECT_EQ(moves, GetParam().exact);
  for (const std::string& move : GetParam().legal) {
    EXPECT_THAT(moves, testing::Contains(move));
  }
  for (const std::string& move : GetParam().illegal) {
    EXPECT_THAT(moves, testing::Not(testing::Contains(move)));
  }
}

TEST_P(RulesTable, JudgesSingleMovesTheSameWay) {
  const Position position = position_of(GetParam().sfen);
  for (const auto& moves : {GetParam().legal, GetParam().exact}) {
    for (const std::string& move : moves) {
      EXPECT_TRUE(is_legal(position, move_of(move))) << move;
    }
  }
  for (const std::string& move : GetParam().illegal) {
    EXPECT_FALSE(is_legal(position, move_of(move))) << move;
  }
}

TEST_P(RulesTable, HoldsForTheTurnedBoard) {
  const Position position = position_of(GetParam().sfen);
  MoveList moves;
  generate_legal(position, moves);
  std::vector<std::string> expected;
  for (const Move move : moves) {
    expected.push_back(to_usi(turned(move)));
  }
  std::ranges::sort(expected);
  EXPECT_EQ(sorted_usi(turned(position)), expected);
}

INSTANTIATE_TEST_SUITE_P(Table, RulesTable, testing::ValuesIn(rows()), name_of);

/// Every move that `is_legal` accepts, of all that 16 bits can say.
std::vector<std::string> brute_force(const Position& position) {
  std::vector<std::string> texts;
  for (unsigned bits = 0; bits <= 0xFFFF; ++bits) {
    const Move move = {static_cast<std::uint16_t>(bits)};
    if (is_legal(position, move)) {
      texts.push_back(to_usi(move));
    }
  }
  std::ranges::sort(texts);
  return texts;
}

TEST(LegalMoves, AreThoseThatTheIndependentRulesAcceptInRandomGames) {
  int positions = 0;
  for_each_random_position(40, 1, [&](const Game& game) {
    if (++positions % 13 == 0) {
      EXPECT_EQ(sorted_usi(game.position()), brute_force(game.position()))
          << to_sfen(game.position());
    }
  });
  EXPECT_GT(positions, 4000);
}

TEST(LegalMoves, AreThoseThatTheIndependentRulesAcceptInEveryCheck) {
  int checks = 0;
  for_each_random_position(60, 2, [&](const Game& game) {
    if (game.in_check() && ++checks % 2 == 0) {
      EXPECT_EQ(sorted_usi(game.position()), brute_force(game.position()))
          << to_sfen(game.position());
    }
  });
  EXPECT_GT(checks, 300);
}

}  // namespace
}  // namespace keisei::shogi
