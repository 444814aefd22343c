#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shogi/position.h"
#include "shogi/types.h"

namespace keisei::shogi {

/// How a record says that its game ended. «The mover» is the side whose turn it is then.
enum class RecordEnd : std::uint8_t {
  None,           // the record does not say
  Resignation,    // the mover resigned
  Interruption,   // the game was stopped before its end
  Repetition,     // sennichite
  TimeForfeit,    // the mover ran out of time
  Foul,           // the mover broke a rule and loses
  OpponentFoul,   // the other side broke a rule; the mover wins
  Impasse,        // jishogi
  Declaration,    // the mover declared a win
  Draw,           // a draw for any other reason
  TakeBack,       // the mover took the last move back
  Checkmate,      // the mover is mated
  NoCheckmate,    // the answer to a mate problem: there is none
  Fault,          // a program or a server failed
  MaxMoves,       // a draw by length
  WinByDefault,   // the other side did not come; the mover wins
  LossByDefault,  // the mover did not come
};
inline constexpr int kRecordEndCount = 17;

struct RecordedMove {
  Move move = Move::none();
  std::optional<std::chrono::milliseconds> time;  // thought about, >= 0; nothing: unknown
  std::vector<std::string> comment;               // what is said after it, by line

  friend bool operator==(const RecordedMove&, const RecordedMove&) = default;
};

struct RecordDetail {
  std::string key;  // CSA's word where it has one: EVENT, SITE, START_TIME, END_TIME, ...
  std::string value;

  friend bool operator==(const RecordDetail&, const RecordDetail&) = default;
};

/// One game as any notation records it: plain data. All text is UTF-8, no part of it has a line
/// break. Each move is legal after the ones before it; a game may go on where our rules would have
/// ended it (a fifth occurrence, a declaration not made).
struct GameRecord {
  Position start = Position::start();
  std::array<std::string, 2> players;  // by Color; empty: unknown
  std::vector<RecordDetail> details;   // in the order of the record; a key may occur again
  std::vector<std::string> comment;    // what is said before the first move, by line
  std::vector<RecordedMove> moves;
  RecordEnd end = RecordEnd::None;
  std::optional<std::chrono::milliseconds> end_time;  // thought about until then; with an end only
  std::vector<std::string> end_comment;               // with an end only

  friend bool operator==(const GameRecord&, const GameRecord&) = default;
};

/// What of a record could not be taken over, each named once, in words for the user.
using LeftOut = std::set<std::string>;

/// More than this a reader refuses: 100,000 games of 100 moves take half a gigabyte here.
inline constexpr std::size_t kMostGames = 100'000;

struct ReadRecords {
  std::vector<GameRecord> games;     // at least one, at most kMostGames
  std::vector<LeftOut> left_out_of;  // by game
  LeftOut left_out;                  // of the file as a whole: of no game, or of any
};

struct WrittenRecords {
  std::string text;  // UTF-8
  LeftOut left_out;
};

}  // namespace keisei::shogi
