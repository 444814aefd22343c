#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "shogi/game_record.h"

namespace keisei::shogi {

/// A line of a record, for messages about it.
struct RecordLine {
  int number = 0;  // from 1
  std::string_view text;
};

/// «line 12: «+7776FU»: <message>»
[[nodiscard]] tl::unexpected<Error> fail_at(const RecordLine& line, std::string_view message);

/// Fails, and names `line`, where `read` has kMostGames games already.
[[nodiscard]] Result<void> expect_another_game(const RecordLine& line, const ReadRecords& read);

/// Makes one GameRecord out of what a reader finds, and keeps only what the rules allow.
///   begin -> (play | refuse | set_time | add_comment)... -> end -> finish
/// An illegal move is an error, unless the next thing said is that it was a foul: then the game is
/// kept up to there, and the move is named in left_out().
class RecordBuilder {
 public:
  /// The names, the details, the comment; not the moves.
  [[nodiscard]] GameRecord& record() { return record_; }
  [[nodiscard]] LeftOut& left_out() { return left_out_; }

  void begin(const Position& start);
  /// Fails, and names `line`, where the rules do not allow this placement.
  [[nodiscard]] Result<void> begin(const Placement& start, const RecordLine& line);
  [[nodiscard]] bool has_begun() const { return has_begun_; }
  [[nodiscard]] bool has_ended() const { return record_.end != RecordEnd::None; }
  /// After the last legal move.
  [[nodiscard]] const Position& position() const { return position_; }
  /// Whether an illegal move was read last.
  [[nodiscard]] bool awaits_foul() const { return illegal_.has_value(); }

  /// Whether a move may follow here. To be asked before a move is looked at.
  [[nodiscard]] Result<void> expect_move(const RecordLine& line) const;
  [[nodiscard]] Result<void> play(Move move, const RecordLine& line);
  /// A move that names a piece which is not there: illegal as well.
  void refuse(const RecordLine& line, std::string_view why);
  [[nodiscard]] Result<void> end(RecordEnd end, const RecordLine& line);
  /// Of the move or the end that was read last.
  [[nodiscard]] Result<void> set_time(std::chrono::milliseconds time, const RecordLine& line);
  /// To what was read last: the start, a move or the end. What follows an illegal move is left out.
  void add_comment(std::string_view line);

  [[nodiscard]] Result<GameRecord> finish();

 private:
  GameRecord record_;
  LeftOut left_out_;
  Position position_ = Position::start();
  bool has_begun_ = false;
  std::optional<Error> illegal_;
};

}  // namespace keisei::shogi
