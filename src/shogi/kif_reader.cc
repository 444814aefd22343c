#include <optional>

#include "shogi/kif.h"
#include "shogi/kif_board.h"
#include "shogi/kif_line.h"
#include "shogi/kif_move.h"
#include "shogi/kif_words.h"
#include "shogi/record_text.h"
#include "shogi/sfen.h"

namespace keisei::shogi {
namespace {

/// The lines of one file -> GameRecord.
class KifGame {
 public:
  Result<void> read(const RecordLine& line);
  Result<ReadRecords> finish();

 private:
  bool is_about_board(std::string_view text);
  Result<void> skip_variation(const RecordLine& line, std::string_view text) const;
  Result<void> expect_start(const RecordLine& line);
  Result<void> read_words(const RecordLine& line, std::string_view text);
  Result<void> read_key(const RecordLine& line, std::string_view key, std::string_view value);
  Result<void> read_handicap(const RecordLine& line, std::string_view name);
  Result<void> read_turn(const RecordLine& line, std::string_view name);
  Result<void> read_hand(const RecordLine& line, Color color, std::string_view value);
  Result<void> read_board_row(const RecordLine& line);
  Result<void> begin();
  Result<Placement> start() const;
  Result<void> read_move(const RecordLine& line, int number, std::string_view text);
  Result<void> play(const RecordLine& line, const KifMove& move);
  Result<void> end(const RecordLine& line, RecordEnd said);
  void read_summary(std::string_view text);

  RecordBuilder builder_;
  RecordLine line_;      // the last one that was read
  RecordLine position_;  // the last one about the start position
  const KifHandicap* handicap_ = nullptr;
  Placement drawn_;
  int rows_ = 0;
  bool needs_board_ = false;  // the hands and some handicaps mean nothing without one
  std::optional<Color> turn_;
  std::optional<int> number_;  // of the last move
  RecordEnd summary_ = RecordEnd::None;
  int variations_ = 0;
  bool is_empty_ = true;
};

Result<void> KifGame::read(const RecordLine& line) {
  line_ = line;
  std::string_view text = trimmed(line.text);
  if (text.empty() || text.front() == '#') {
    return {};
  }
  if (number_ && is_kif_variation(text)) {
    ++variations_;
  }
  if (variations_ > 0) {
    return skip_variation(line, text);
  }
  if (take(text, "*")) {
    builder_.add_comment(line.text.substr(line.text.find('*') + 1));
    return {};
  }
  if (text.front() == '&') {
    builder_.left_out().insert("bookmarks (&)");
    return {};
  }
  is_empty_ = false;
  if (take(text, "まで")) {
    if (!builder_.has_ended()) {
      read_summary(text);
    }
    return {};
  }
  return is_about_board(text)  ? Result<void>()
         : text.front() == '|' ? read_board_row(line)
                               : read_words(line, text);
}

/// What else a file has that was made where a game stood: lines that say nothing about the game, or
/// nothing that has a place.
bool KifGame::is_about_board(std::string_view text) {
  if (text == "盤面回転") {
    builder_.left_out().insert("which side the board is seen from (盤面回転)");
    return true;
  }
  if (take(text, "手数＝") || take(text, "手数=")) {
    if (take_kif_move_number(text) != 0) {
      builder_.left_out().insert("how many moves came before the start (手数＝)");
    }
    return true;
  }
  const bool before_board = !builder_.has_begun() && (rows_ == 0 || text.front() == '+');
  return is_kif_heading(text) || (before_board && is_kif_ruler(text));
}

/// Its moves are not kept; but another game is not one of them.
Result<void> KifGame::skip_variation(const RecordLine& line, std::string_view text) const {
  const auto said = split_kif_key(text);
  if (said && text.front() != '*' &&
      (is_kif_game_key(said->key) || from_kif_key(said->key) != said->key)) {
    return fail_at(line, "another game begins here; a file has one game, so move it to its own");
  }
  return {};
}

/// A move, «key：value», or a side to move.
Result<void> KifGame::read_words(const RecordLine& line, std::string_view text) {
  if (const auto number = take_kif_move_number(text)) {
    return read_move(line, *number, text);
  }
  if (const auto said = split_kif_key(text)) {
    return read_key(line, said->key, said->value);
  }
  std::string_view turn = text;
  if (take_kif_side(turn) && turn == "番") {
    return read_turn(line, text);
  }
  return fail_at(
      line, "this is neither «key：value» nor a move with its number; a comment begins with *");
}

Result<void> KifGame::read_key(const RecordLine& line, std::string_view key,
                               std::string_view value) {
  if (key == "手合割") {
    return read_handicap(line, value);
  }
  if (key == "手番") {
    return read_turn(line, value);
  }
  std::string_view rest = key;
  const auto color = take_kif_side(rest);
  if (color && (rest == "の持駒" || rest == "の持ち駒")) {
    return read_hand(line, *color, value);
  }
  if (color && rest.empty()) {
    builder_.record().players[static_cast<std::size_t>(index(*color))] = value;
  } else if (!value.empty()) {
    builder_.record().details.push_back(
        {.key = std::string(from_kif_key(key)), .value = std::string(value)});
  }
  return {};
}

/// Whether the start position is still open. To be asked by each line about it.
Result<void> KifGame::expect_start(const RecordLine& line) {
  position_ = line;
  if (builder_.has_begun()) {
    return fail_at(line, "the start position after the first move; write it before");
  }
  return {};
}

Result<void> KifGame::read_handicap(const RecordLine& line, std::string_view name) {
  KEISEI_TRY_VOID(expect_start(line));
  handicap_ = nullptr;
  for (const KifHandicap& handicap : kif_handicaps()) {
    if (handicap.name == name) {
      handicap_ = &handicap;
    }
  }
  if (handicap_ == nullptr && name != "その他" && name != "詰将棋") {
    return fail_at(line,
                   "this handicap is not known; 平手, 香落ち to 十枚落ち are, and その他 with a "
                   "drawn board");
  }
  needs_board_ = needs_board_ || handicap_ == nullptr;
  return {};
}

Result<void> KifGame::read_turn(const RecordLine& line, std::string_view name) {
  KEISEI_TRY_VOID(expect_start(line));
  turn_ = take_kif_side(name);
  if (!turn_) {
    return fail_at(line, "the side to move is 先手, 後手, 下手 or 上手");
  }
  return {};
}

Result<void> KifGame::read_hand(const RecordLine& line, Color color, std::string_view value) {
  KEISEI_TRY_VOID(expect_start(line));
  KEISEI_TRY_VOID(read_kif_hand(line, value, color, drawn_));
  needs_board_ = needs_board_ || !drawn_.hands[static_cast<std::size_t>(index(color))].empty();
  return {};
}

Result<void> KifGame::read_board_row(const RecordLine& line) {
  KEISEI_TRY_VOID(expect_start(line));
  if (rows_ == 9) {
    return fail_at(line, "a tenth row of the board");
  }
  return read_kif_rank(line, rows_++, drawn_);
}

/// The drawn board, else the one that the handicap names, else the even start.
Result<Placement> KifGame::start() const {
  if (rows_ == 0) {
    if (needs_board_) {
      return fail_at(position_, "the start position needs a drawn board");
    }
    KEISEI_TRY(named, parse_sfen(handicap_ == nullptr ? kStartSfen : handicap_->sfen));
    Placement placement = named.placement();
    placement.side = turn_.value_or(placement.side);
    return placement;
  }
  if (rows_ < 9) {
    return fail_at(position_, fmt::format("the board has {} rows instead of nine", rows_));
  }
  Placement placement = drawn_;
  const bool even = handicap_ == nullptr || handicap_ == kif_handicaps().data();
  placement.side = turn_.value_or(even ? Color::Black : Color::White);
  return placement;
}

Result<void> KifGame::begin() {
  if (builder_.has_begun()) {
    return {};
  }
  KEISEI_TRY(placement, start());
  return builder_.begin(placement, position_);
}

Result<void> KifGame::read_move(const RecordLine& line, int number, std::string_view text) {
  KEISEI_TRY_VOID(begin());
  if (number_ && number != *number_ + 1) {
    return fail_at(line,
                   fmt::format("move {} comes after move {}; a file has one game, and each move "
                               "has its number",
                               number, *number_));
  }
  number_ = number;
  KEISEI_TRY(move, parse_kif_move(line, text));
  if (move.end != RecordEnd::None) {
    KEISEI_TRY_VOID(end(line, move.end));
  } else {
    KEISEI_TRY_VOID(play(line, move));
  }
  return move.time ? builder_.set_time(*move.time, line) : Result<void>();
}

Result<void> KifGame::play(const RecordLine& line, const KifMove& move) {
  KEISEI_TRY_VOID(builder_.expect_move(line));
  const auto& played = builder_.record().moves;
  if (!move.to && played.empty()) {
    return fail_at(line, "同 needs a move before it; write the square");
  }
  const Square to = move.to ? *move.to : played.back().move.to();
  if (!move.from) {
    if (move.kind > Kind::Gold) {
      builder_.refuse(line, "a king and a promoted piece cannot be dropped");
      return {};
    }
    return builder_.play(Move::drop(move.kind, to), line);
  }
  const Piece piece = builder_.position().at(*move.from);
  if (piece == Piece::None || kind_of(piece) != move.kind) {
    builder_.refuse(line, "the piece that it names is not on the square that it leaves");
    return {};
  }
  return builder_.play(
      move.promotes ? Move::promotion(*move.from, to) : Move::board(*move.from, to), line);
}

Result<void> KifGame::end(const RecordLine& line, RecordEnd said) {
  const bool foul = said == RecordEnd::Foul || said == RecordEnd::OpponentFoul;
  return builder_.end(foul && builder_.awaits_foul() ? RecordEnd::Foul : said, line);
}

/// «97手で先手の勝ち»: how the game ended, where no move line says it.
void KifGame::read_summary(std::string_view text) {
  const RecordEnd end = kif_summary_end(text, builder_.position().side());
  if (end == RecordEnd::None) {
    builder_.left_out().insert("how the game ended, as まで says it");
  } else {
    summary_ = end;
  }
}

Result<ReadRecords> KifGame::finish() {
  if (is_empty_) {
    return fail(
        "there is no game in it; a KIF record has moves as «1 ７六歩(77)» with their numbers");
  }
  KEISEI_TRY_VOID(begin());
  if (summary_ != RecordEnd::None && !builder_.has_ended()) {
    KEISEI_TRY_VOID(end(line_, summary_));
  }
  if (variations_ > 0) {
    builder_.left_out().insert(fmt::format("variations ({})", variations_));
  }
  ReadRecords read;
  KEISEI_TRY(record, builder_.finish());
  read.games.push_back(std::move(record));
  read.left_out = builder_.left_out();
  read.left_out_of = {read.left_out};
  return read;
}

}  // namespace

Result<ReadRecords> read_kif(std::string_view text) {
  KifGame game;
  int number = 0;
  while (const auto row = take_line(text)) {
    KEISEI_TRY_VOID(game.read({++number, *row}));
  }
  return game.finish();
}

}  // namespace keisei::shogi
