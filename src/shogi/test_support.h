#pragma once

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/rng.h"
#include "shogi/agreement.h"
#include "shogi/game.h"
#include "shogi/sfen.h"
#include "shogi/usi_move.h"

namespace keisei::shogi {

/// What the tests of the rules and of the environment share: tables, random games, turned boards.

inline std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) {
    parts.push_back(part);
  }
  return parts;
}

/// The rows of tests/data/<name>, without comments.
inline std::vector<std::vector<std::string>> read_table(const std::string& name) {
  std::ifstream file(std::string(KEISEI_TEST_DATA) + "/" + name);
  KEISEI_CHECK(file.is_open(), "no table {}", name);
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line[0] != '#') {
      rows.push_back(split(line, '\t'));
    }
  }
  return rows;
}

/// A test name may hold letters and digits only.
inline std::string test_name(const std::string& text) {
  std::string name;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    name += plain ? c : '_';
  }
  return name;
}

inline Position position_of(std::string_view sfen) {
  const Result<Position> position = parse_sfen(sfen);
  KEISEI_CHECK(position.has_value(), "{}", position.error().message);
  return *position;
}

inline Move move_of(std::string_view usi) {
  const Result<Move> move = parse_usi_move(usi);
  KEISEI_CHECK(move.has_value(), "{}", move.error().message);
  return *move;
}

inline std::vector<std::string> sorted_usi(const Position& position) {
  MoveList moves;
  generate_legal(position, moves);
  std::vector<std::string> texts;
  for (const Move move : moves) {
    texts.push_back(to_usi(move));
  }
  std::ranges::sort(texts);
  return texts;
}

/// Plays `games` uniformly random games and calls visit(game) at every position, before the move.
template <typename Visit>
void for_each_random_position(int games, std::uint64_t seed, Visit visit) {
  Game game(GameRules{});
  for (int i = 0; i < games; ++i) {
    Rng rng(seed, static_cast<std::uint64_t>(i));
    game.reset();
    while (!game.is_over()) {
      visit(game);
      const auto moves = game.legal_moves();
      game.play(moves[rng.below(static_cast<std::uint32_t>(moves.size()))]);
    }
  }
}

}  // namespace keisei::shogi
