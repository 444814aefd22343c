#include "shogi/record_builder.h"

#include <algorithm>

#include "shogi/legality.h"
#include "shogi/placement.h"
#include "shogi/record_text.h"

namespace keisei::shogi {

tl::unexpected<Error> fail_at(const RecordLine& line, std::string_view message) {
  return fail("line {}: {}: {}", line.number, quoted_text(line.text), message);
}

Result<void> expect_another_game(const RecordLine& line, const ReadRecords& read) {
  if (read.games.size() < kMostGames) {
    return {};
  }
  return fail("line {}: more than {} games; split the file", line.number, kMostGames);
}

void RecordBuilder::begin(const Position& start) {
  record_.start = start;
  position_ = start;
  has_begun_ = true;
}

Result<void> RecordBuilder::begin(const Placement& start, const RecordLine& line) {
  if (auto valid = validate(start); !valid) {
    const bool lacks_king =
        std::ranges::count(start.board, make_piece(Color::Black, Kind::King)) == 0 ||
        std::ranges::count(start.board, make_piece(Color::White, Kind::King)) == 0;
    return fail_at(line,
                   fmt::format("the start position cannot stand: {}{}", valid.error().message,
                               lacks_king ? "; problems without both kings cannot be read" : ""));
  }
  begin(Position(start));
  return {};
}

Result<void> RecordBuilder::expect_move(const RecordLine& line) const {
  if (illegal_) {
    return tl::unexpected(*illegal_);
  }
  if (has_ended()) {
    return fail_at(line,
                   "the game has ended before this; remove it, or put it in a game of its own");
  }
  return {};
}

Result<void> RecordBuilder::play(Move move, const RecordLine& line) {
  KEISEI_TRY_VOID(expect_move(line));
  if (!is_legal(position_, move)) {
    refuse(line, "the rules do not allow this move here");
    return {};
  }
  (void)position_.do_move(move);
  record_.moves.push_back({.move = move, .time = {}, .comment = {}});
  return {};
}

void RecordBuilder::refuse(const RecordLine& line, std::string_view why) {
  illegal_ =
      fail_at(line, fmt::format("{}; correct the record, or end it before this move", why)).value();
  illegal_->message += fmt::format(" (move {})", record_.moves.size() + 1);
}

Result<void> RecordBuilder::end(RecordEnd end, const RecordLine& line) {
  if (illegal_ && end == RecordEnd::Foul) {
    left_out_.insert(fmt::format("the illegal move before the end in line {}", line.number));
    illegal_.reset();
  }
  KEISEI_TRY_VOID(expect_move(line));
  record_.end = end;
  return {};
}

Result<void> RecordBuilder::set_time(std::chrono::milliseconds time, const RecordLine& line) {
  if (has_ended()) {
    record_.end_time = time;
  } else if (illegal_) {  // of a move that is not kept
    return {};
  } else if (record_.moves.empty()) {
    return fail_at(line, "a time needs a move before it");
  } else {
    record_.moves.back().time = time;
  }
  return {};
}

void RecordBuilder::add_comment(std::string_view line) {
  if (illegal_) {
    left_out_.insert("comments after an illegal move");
  } else if (has_ended()) {
    record_.end_comment.emplace_back(line);
  } else if (record_.moves.empty()) {
    record_.comment.emplace_back(line);
  } else {
    record_.moves.back().comment.emplace_back(line);
  }
}

Result<GameRecord> RecordBuilder::finish() {
  if (illegal_) {
    return tl::unexpected(*illegal_);
  }
  return std::move(record_);
}

}  // namespace keisei::shogi
