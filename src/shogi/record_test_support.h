#pragma once

#include <string>
#include <vector>

#include "base/check.h"
#include "base/rng.h"
#include "shogi/game_record.h"
#include "shogi/kif_words.h"
#include "shogi/movegen.h"
#include "shogi/sfen.h"

namespace keisei::shogi {

/// Random records for the tests of formats: random moves from random starts, with all that CSA, KIF
/// and Shift-JIS can hold.

inline Move random_move(const Position& position, Rng& rng) {
  MoveList moves;
  generate_legal(position, moves);
  return moves.empty() ? Move::none() : moves[rng.below(static_cast<std::uint32_t>(moves.size()))];
}

/// The even start, a handicap, or whatever some random moves lead to; it is move 1 there.
inline Position random_start(Rng& rng) {
  const auto handicaps = kif_handicaps();
  const auto choice = rng.below(3);
  if (choice == 0) {
    return Position::start();
  }
  if (choice == 1) {
    const auto number = rng.below(static_cast<std::uint32_t>(handicaps.size()));
    return *parse_sfen(handicaps[number].sfen);
  }
  Position position = Position::start();
  for (auto left = rng.below(120); left > 0; --left) {
    const Move move = random_move(position, rng);
    if (move == Move::none()) {
      break;
    }
    (void)position.do_move(move);
  }
  Placement placement = position.placement();
  placement.move_number = 1;
  return Position(placement);
}

inline std::string random_text(Rng& rng) {
  static const std::vector<std::string> kTexts = {// with the letters that Shift-JIS is known for
                                                  "Keisei",        "形勢 判断",
                                                  "髙橋①",         "ソ連の表示能力",
                                                  "a, b: c",       "\uFF0A\u300C\uFF5E\u300D\uFF0D",
                                                  "(1+1)=2 %TORYO"};
  return kTexts[rng.below(static_cast<std::uint32_t>(kTexts.size()))];
}

inline std::vector<std::string> random_comment(Rng& rng) {
  std::vector<std::string> lines;
  for (auto left = rng.below(4); left > 1; --left) {
    lines.push_back(random_text(rng));
  }
  return lines;
}

inline std::optional<std::chrono::milliseconds> random_time(Rng& rng) {
  return rng.below(4) == 0 ? std::nullopt
                           : std::optional<std::chrono::milliseconds>(
                                 std::chrono::seconds(rng.below(rng.below(2) == 0 ? 60 : 9000)));
}

/// At most `plies` moves.
inline GameRecord random_record(Rng& rng, std::uint32_t plies) {
  constexpr std::array<RecordEnd, 11> kEnds = {
      RecordEnd::None,         RecordEnd::Resignation, RecordEnd::Interruption,
      RecordEnd::Repetition,   RecordEnd::TimeForfeit, RecordEnd::Foul,
      RecordEnd::OpponentFoul, RecordEnd::Impasse,     RecordEnd::Declaration,
      RecordEnd::Checkmate,    RecordEnd::NoCheckmate};
  GameRecord record;
  record.start = random_start(rng);
  record.players = {random_text(rng), rng.below(2) == 0 ? "" : random_text(rng)};
  record.details = {{.key = "EVENT", .value = random_text(rng)},
                    {.key = "START_TIME", .value = "2026/11/25 10:30:00"},
                    {.key = "X_OWN", .value = random_text(rng)}};
  record.comment = random_comment(rng);
  Position position = record.start;
  for (auto left = rng.below(plies + 1); left > 0; --left) {
    const Move move = random_move(position, rng);
    if (move == Move::none()) {
      break;
    }
    (void)position.do_move(move);
    record.moves.push_back(
        {.move = move, .time = random_time(rng), .comment = random_comment(rng)});
  }
  record.end = kEnds[rng.below(kEnds.size())];
  if (record.end != RecordEnd::None) {
    record.end_time = random_time(rng);
    record.end_comment = random_comment(rng);
  }
  return record;
}

}  // namespace keisei::shogi
