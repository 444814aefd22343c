#include <algorithm>
#include <optional>

#include "shogi/csa.h"
#include "shogi/csa_placement.h"
#include "shogi/csa_words.h"
#include "shogi/record_builder.h"
#include "shogi/record_text.h"

namespace keisei::shogi {
namespace {

std::string_view name_of(Color color) { return color == Color::Black ? "Black (+)" : "White (-)"; }

/// One game's lines -> GameRecord.
class CsaGame {
 public:
  [[nodiscard]] bool is_empty() const { return is_empty_; }
  [[nodiscard]] LeftOut& left_out() { return builder_.left_out(); }

  Result<void> read(const RecordLine& line);
  Result<GameRecord> finish(const RecordLine& last);

 private:
  Result<void> read_statement(const RecordLine& line);
  void read_comment(std::string_view text);
  Result<void> read_name(const RecordLine& line);
  Result<void> read_detail(const RecordLine& line);
  Result<void> read_placement(const RecordLine& line);
  Result<void> begin(Color side, const RecordLine& line);
  Result<void> read_move(const RecordLine& line);
  Result<void> play_from_board(Square from, Square to, Kind after, const RecordLine& line);
  Result<void> read_time(const RecordLine& line);
  Result<void> read_end(const RecordLine& line);

  RecordBuilder builder_;
  CsaPlacement placement_;
  bool has_placement_ = false;
  bool is_empty_ = true;
};

/// Only the statements of moves and times may share a line.
Result<void> CsaGame::read(const RecordLine& line) {
  std::string_view rest = trimmed(line.text);
  if (rest.empty()) {
    return {};
  }
  if (rest.front() == '\'') {
    read_comment(line.text.substr(line.text.find('\'')));
    return {};
  }
  is_empty_ = is_empty_ && rest.front() == 'V';
  if (rest.front() == 'N') {
    return read_name({line.number, rest});
  }
  if (rest.front() == '$') {
    return read_detail({line.number, rest});
  }
  while (!rest.empty()) {
    if (rest.front() == '\'') {
      read_comment(rest);
      return {};
    }
    const std::size_t comma = std::min(rest.find(','), rest.size());
    KEISEI_TRY_VOID(read_statement({line.number, trimmed(rest.substr(0, comma))}));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return {};
}

Result<void> CsaGame::read_statement(const RecordLine& line) {
  const std::string_view text = line.text;
  switch (text.empty() ? ' ' : text.front()) {
    case 'V':
      if (text.size() > 1 && text[1] >= '1' && text[1] <= '3') {
        return {};
      }
      return fail_at(line, "this version of CSA is not known; the newest known is V3.0");
    case 'P':
      return read_placement(line);
    case '+':
    case '-':
      return text.size() == 1 ? begin(*color_of_csa_sign(text.front()), line) : read_move(line);
    case 'T':
      return read_time(line);
    case '%':
      return read_end(line);
    default:
      return fail_at(line, "no statement of CSA begins like this; comments begin with '");
  }
}

void CsaGame::read_comment(std::string_view text) {
  if (take(text, "'*")) {
    is_empty_ = false;
    builder_.add_comment(text);
  } else if (trimmed(text) != "'" && !text.starts_with("'CSA encoding=")) {
    builder_.left_out().insert("comments for programs (' without *)");
  }
}

Result<void> CsaGame::read_name(const RecordLine& line) {
  const auto color = line.text.size() > 1 ? color_of_csa_sign(line.text[1]) : std::nullopt;
  if (!color) {
    return fail_at(line, "a name is written as N+name (Black) or N-name (White)");
  }
  builder_.record().players[static_cast<std::size_t>(index(*color))] = trimmed(line.text.substr(2));
  return {};
}

Result<void> CsaGame::read_detail(const RecordLine& line) {
  const std::size_t colon = line.text.find(':');
  if (colon == std::string_view::npos || colon == 1) {
    return fail_at(line, "a detail is written as $KEY:value");
  }
  const std::string_view value = trimmed(line.text.substr(colon + 1));
  if (!value.empty()) {
    builder_.record().details.push_back(
        {.key = std::string(line.text.substr(1, colon - 1)), .value = std::string(value)});
  }
  return {};
}

Result<void> CsaGame::read_placement(const RecordLine& line) {
  if (builder_.has_begun()) {
    return fail_at(line,
                   "the start position was complete before this; write it before the + or - line");
  }
  has_placement_ = true;
  return read_csa_placement(line, placement_);
}

Result<void> CsaGame::begin(Color side, const RecordLine& line) {
  if (builder_.has_begun()) {
    return fail_at(line, "who moves first was said before; separate games with a line /");
  }
  if (!has_placement_) {
    return fail_at(line,
                   "there is no start position; put a line PI before this for the even start");
  }
  placement_.placement.side = side;
  return builder_.begin(placement_.placement, line);
}

/// «+7776FU»: the piece as it stands afterwards.
Result<void> CsaGame::read_move(const RecordLine& line) {
  constexpr std::size_t kMoveSize = 7;
  const Color color = *color_of_csa_sign(line.text.front());
  if (!builder_.has_begun()) {
    KEISEI_TRY_VOID(begin(color, line));
  }
  KEISEI_TRY_VOID(builder_.expect_move(line));
  const auto from = csa_square(line.text.substr(1, 2));
  const auto to = line.text.size() == kMoveSize ? csa_square(line.text.substr(3, 2)) : std::nullopt;
  const Kind after = to ? csa_piece(line.text.substr(5)) : Kind::None;
  if (!from || !to || *to == kCsaHand || after == Kind::None) {
    return fail_at(line, "this is no move; write +7776FU, or +0055KA for a drop");
  }
  if (color != builder_.position().side()) {
    return fail_at(line, fmt::format("it is the turn of {}", name_of(builder_.position().side())));
  }
  if (*from != kCsaHand) {
    return play_from_board(*from, *to, after, line);
  }
  if (after > Kind::Gold) {
    builder_.refuse(line, "a king and a promoted piece cannot be dropped");
    return {};
  }
  return builder_.play(Move::drop(after, *to), line);
}

Result<void> CsaGame::play_from_board(Square from, Square to, Kind after, const RecordLine& line) {
  const Piece moved = builder_.position().at(from);
  const Kind before = kind_of(moved);
  if (moved != Piece::None && before == after) {
    return builder_.play(Move::board(from, to), line);
  }
  if (can_promote(before) && promoted(before) == after) {
    return builder_.play(Move::promotion(from, to), line);
  }
  builder_.refuse(line, moved == Piece::None
                            ? "there is no piece on the square that it leaves"
                            : fmt::format("the piece on the square that it leaves is {}",
                                          kCsaPieces[static_cast<std::size_t>(index(before))]));
  return {};
}

/// «T12», since version 3.0 also «T12.345»
Result<void> CsaGame::read_time(const RecordLine& line) {
  std::string_view rest = line.text.substr(1);
  const auto seconds = take_number(rest);
  int milliseconds = 0;
  if (take(rest, ".")) {
    for (const int place : {100, 10, 1}) {
      if (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') {
        milliseconds += place * (rest.front() - '0');
        rest.remove_prefix(1);
      }
    }
  }
  if (!seconds || !trimmed(rest).empty()) {
    return fail_at(line, "a time is written as T12 or T12.345, in seconds");
  }
  return builder_.set_time(std::chrono::seconds(*seconds) + std::chrono::milliseconds(milliseconds),
                           line);
}

Result<void> CsaGame::read_end(const RecordLine& line) {
  std::string_view word = trimmed(line.text.substr(1));
  const auto offender = word.empty() ? std::nullopt : color_of_csa_sign(word.front());
  word.remove_prefix(offender ? 1 : 0);
  if (!builder_.has_begun()) {
    return fail_at(line,
                   "a game cannot end before it begins; write the position and + or - before");
  }
  const auto* const found = std::find(kCsaEnds.begin(), kCsaEnds.end(), word);
  const auto end = static_cast<RecordEnd>(found - kCsaEnds.begin());
  if (word.empty() || found == kCsaEnds.end() ||
      offender.has_value() != (end == RecordEnd::OpponentFoul)) {
    return fail_at(line,
                   "CSA has no such end; %TORYO, %CHUDAN and %SENNICHITE are some that it has");
  }
  const bool by_mover = offender == builder_.position().side();
  return builder_.end(offender && by_mover ? RecordEnd::Foul : end, line);
}

Result<GameRecord> CsaGame::finish(const RecordLine& last) {
  if (!builder_.has_begun()) {
    return fail(
        "line {}: the game ends before it begins; write a position (PI for the even start) "
        "and a line + or -",
        last.number);
  }
  return builder_.finish();
}

}  // namespace

Result<ReadRecords> read_csa(std::string_view text) {
  ReadRecords read;
  CsaGame game;
  RecordLine line;
  const auto keep = [&]() -> Result<void> {
    if (!game.is_empty()) {
      KEISEI_TRY_VOID(expect_another_game(line, read));
      KEISEI_TRY(record, game.finish(line));
      read.games.push_back(std::move(record));
      read.left_out.insert(game.left_out().begin(), game.left_out().end());
      read.left_out_of.push_back(std::move(game.left_out()));
    }
    game = CsaGame();
    return {};
  };
  while (const auto row = take_line(text)) {
    line = {line.number + 1, *row};
    KEISEI_TRY_VOID(trimmed(*row) == "/" ? keep() : game.read(line));
  }
  KEISEI_TRY_VOID(keep());
  if (read.games.empty()) {
    return fail(
        "there is no game in it; a CSA record has a position (PI for the even start), a line "
        "+ or -, and moves as +7776FU");
  }
  return read;
}

}  // namespace keisei::shogi
