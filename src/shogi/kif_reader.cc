#include <algorithm>
#include <optional>

#include "shogi/kif.h"
#include "shogi/kif_board.h"
#include "shogi/kif_move.h"
#include "shogi/kif_words.h"
#include "shogi/record_text.h"
#include "shogi/sfen.h"

namespace keisei::shogi {
namespace {

constexpr std::array<std::string_view, 2> kColons = {"：", ":"};
constexpr std::array<std::string_view, 10> kWideDigits = {"０", "１", "２", "３", "４",
                                                          "５", "６", "７", "８", "９"};

/// 先手 and 下手 are Black, 後手 and 上手 (who gives a handicap) are White.
std::optional<Color> take_side(std::string_view& text) {
  if (take(text, "先手") || take(text, "下手")) {
    return Color::Black;
  }
  if (take(text, "後手") || take(text, "上手")) {
    return Color::White;
  }
  return std::nullopt;
}

bool contains(std::string_view text, std::string_view word) {
  return text.find(word) != std::string_view::npos;
}

/// «12» or «１２» from the front of a move's line.
std::optional<int> take_move_number(std::string_view& text) {
  if (text.front() >= '0' && text.front() <= '9') {
    return take_number(text);
  }
  constexpr int kMostDigits = 6;
  std::optional<int> number;
  for (int digits = 0; digits < kMostDigits; ++digits) {
    const auto* const digit = std::ranges::find_if(
        kWideDigits, [text](std::string_view wide) { return text.starts_with(wide); });
    if (digit == kWideDigits.end()) {
      break;
    }
    text.remove_prefix(digit->size());
    number = number.value_or(0) * 10 + static_cast<int>(digit - kWideDigits.begin());
  }
  return number;
}

bool is_ruler(std::string_view text) {
  return text.starts_with("+-") || text.starts_with("９ ８") || text.starts_with("9 8") ||
         text.starts_with("９　８") || text.starts_with("手数");
}

/// The lines of one file -> GameRecord.
class KifGame {
 public:
  Result<void> read(const RecordLine& line);
  Result<ReadRecords> finish();

 private:
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
  if (text.starts_with("変化")) {
    ++variations_;
  }
  if (variations_ > 0) {
    return {};
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
  if (is_ruler(text)) {
    return {};
  }
  return text.front() == '|' ? read_board_row(line) : read_words(line, text);
}

/// A move, «key：value», or a side to move.
Result<void> KifGame::read_words(const RecordLine& line, std::string_view text) {
  if (const auto number = take_move_number(text)) {
    return read_move(line, *number, text);
  }
  std::size_t at = std::string_view::npos;
  std::size_t size = 0;
  for (const std::string_view colon : kColons) {
    const std::size_t found = text.find(colon);
    if (found < at) {
      at = found;
      size = colon.size();
    }
  }
  if (at != std::string_view::npos && at > 0) {
    return read_key(line, trimmed(text.substr(0, at)), trimmed(text.substr(at + size)));
  }
  std::string_view turn = text;
  if (take_side(turn) && turn == "番") {
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
  const auto color = take_side(rest);
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

Result<void> KifGame::read_handicap(const RecordLine& line, std::string_view name) {
  position_ = line;
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
  turn_ = take_side(name);
  position_ = line;
  if (!turn_) {
    return fail_at(line, "the side to move is 先手, 後手, 下手 or 上手");
  }
  return {};
}

Result<void> KifGame::read_hand(const RecordLine& line, Color color, std::string_view value) {
  position_ = line;
  KEISEI_TRY_VOID(read_kif_hand(line, value, color, drawn_));
  needs_board_ = needs_board_ || !drawn_.hands[static_cast<std::size_t>(index(color))].empty();
  return {};
}

Result<void> KifGame::read_board_row(const RecordLine& line) {
  position_ = line;
  if (builder_.has_begun()) {
    return fail_at(line, "a board after the first move; draw it before");
  }
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
  if (auto valid = validate(placement); !valid) {
    return fail_at(position_,
                   fmt::format("the start position cannot stand: {}", valid.error().message));
  }
  builder_.begin(Position(placement));
  return {};
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
  const bool black = contains(text, "先手") || contains(text, "下手");
  const bool mover = black == (builder_.position().side() == Color::Black);
  const bool won = contains(text, "勝");
  if (contains(text, "千日手")) {
    summary_ = RecordEnd::Repetition;
  } else if (contains(text, "持将棋")) {
    summary_ = RecordEnd::Impasse;
  } else if (contains(text, "中断")) {
    summary_ = RecordEnd::Interruption;
  } else if (contains(text, "入玉")) {
    summary_ = RecordEnd::Declaration;
  } else if (contains(text, "反則")) {
    summary_ = mover == won ? RecordEnd::OpponentFoul : RecordEnd::Foul;
  } else if (won && !mover) {
    const bool mated = contains(text, "詰");
    const bool late = contains(text, "時間切れ") || contains(text, "切れ負け");
    summary_ = late    ? RecordEnd::TimeForfeit
               : mated ? RecordEnd::Checkmate
                       : RecordEnd::Resignation;
  } else if (contains(text, "詰")) {
    summary_ = RecordEnd::Checkmate;
  } else {
    builder_.left_out().insert("how the game ended, as まで says it");
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
  return read;
}

}  // namespace

Result<ReadRecords> read_kif(std::string_view text) {
  KifGame game;
  int number = 0;
  for (const std::string_view row : lines_of(text)) {
    KEISEI_TRY_VOID(game.read({++number, row}));
  }
  return game.finish();
}

}  // namespace keisei::shogi
