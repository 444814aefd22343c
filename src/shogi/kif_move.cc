#include "shogi/kif_move.h"

#include "shogi/kif_words.h"
#include "shogi/record_text.h"

namespace keisei::shogi {
namespace {

constexpr std::array<std::string_view, 4> kSideMarks = {"▲", "△", "☗", "☖"};
// Of KI2, where they say which piece is meant. The origin says it here.
constexpr std::array<std::string_view, 8> kModifiers = {"右", "左", "直", "上",
                                                        "寄", "引", "行", "入"};

/// «７六»
std::optional<Square> take_square(std::string_view& text) {
  const auto file = take_kif_digit(text);
  const auto rank = file ? take_kif_digit(text) : std::nullopt;
  return rank ? std::optional(square_at(*file - 1, *rank - 1)) : std::nullopt;
}

/// «(77)»
std::optional<Square> take_origin(std::string_view& text) {
  std::string_view rest = text;
  if (!take(rest, "(")) {
    return std::nullopt;
  }
  const auto square = take_square(rest);
  if (!square || !take(rest, ")")) {
    return std::nullopt;
  }
  text = rest;
  return square;
}

/// «( 0:16/00:01:16)»: minutes and seconds, or with hours; what stands after «/» is the sum so far.
std::optional<std::chrono::milliseconds> take_time(std::string_view& text) {
  const std::size_t close = text.find(')');
  if (close == std::string_view::npos || !take(text, "(")) {
    return std::nullopt;
  }
  std::string_view inside = text.substr(0, close - 1);
  text.remove_prefix(close);
  inside = trimmed(inside.substr(0, inside.find('/')));
  constexpr std::chrono::seconds kLongest(999'999'999);  // what CSA can hold
  std::chrono::seconds time(0);
  int parts = 0;
  do {
    const auto part = take_number(inside);
    if (!part || ++parts > 3) {
      return std::nullopt;
    }
    time = time * 60 + std::chrono::seconds(*part);
  } while (take(inside, ":"));
  return inside.empty() && parts >= 2 && time <= kLongest
             ? std::optional(std::chrono::milliseconds(time))
             : std::nullopt;
}

RecordEnd take_end(std::string_view& text) {
  for (std::size_t i = 1; i < kKifEnds.size(); ++i) {
    if (!kKifEnds[i].empty() && take(text, kKifEnds[i])) {
      return static_cast<RecordEnd>(i);
    }
  }
  return take(text, "詰") ? RecordEnd::Checkmate : RecordEnd::None;
}

/// All of a move but its time.
Result<void> take_move(const RecordLine& line, std::string_view& text, KifMove& move) {
  constexpr std::string_view kUsage =
      "this is neither a move nor an end; write ７六歩(77), ５五角打, 同　銀成(34) or 投了";
  for (const std::string_view mark : kSideMarks) {
    (void)take(text, mark);
  }
  if (!take(text, kKifSame)) {
    move.to = take_square(text);
    if (!move.to) {
      return fail_at(line, kUsage);
    }
  }
  text = trimmed(text);
  move.kind = take_kif_piece(text);
  if (move.kind == Kind::None) {
    return fail_at(line, kUsage);
  }
  for (const std::string_view modifier : kModifiers) {
    (void)take(text, modifier);
  }
  if (!take(text, "不成")) {
    move.promotes = take(text, kKifPromotion);
  }
  if (!move.promotes && take(text, kKifDrop)) {
    return {};
  }
  move.from = take_origin(text);
  if (!move.from) {
    return fail_at(line,
                   "a move needs the square that it leaves, as in ７六歩(77), or 打 for a drop");
  }
  return {};
}

}  // namespace

Result<KifMove> parse_kif_move(const RecordLine& line, std::string_view text) {
  KifMove move;
  std::string_view rest = trimmed(text);
  move.end = take_end(rest);
  if (move.end == RecordEnd::None) {
    KEISEI_TRY_VOID(take_move(line, rest, move));
  }
  rest = trimmed(rest);
  if (rest.starts_with('(')) {
    move.time = take_time(rest);
    if (!move.time) {
      return fail_at(line, "this is no time; write ( 0:16/00:01:16)");
    }
  }
  rest = trimmed(rest);
  (void)take(rest, "+");  // variations follow
  if (!rest.empty()) {
    return fail_at(line, fmt::format("{} after the move is not understood; remove it, or make it a "
                                     "comment (a line with *)",
                                     quoted_text(rest)));
  }
  return move;
}

std::string to_kif(const Position& position, Move move, std::optional<Square> last) {
  const Square to = move.to();
  std::string text = last == to
                         ? fmt::format("{}　", kKifSame)
                         : fmt::format("{}{}", kKifFiles[static_cast<std::size_t>(file_of(to))],
                                       kKifRanks[static_cast<std::size_t>(rank_of(to))]);
  const Kind kind = move.is_drop() ? move.dropped() : kind_of(position.at(move.from()));
  text += kKifPieces[static_cast<std::size_t>(index(kind))];
  if (move.is_drop()) {
    return text.append(kKifDrop);
  }
  text += move.is_promotion() ? kKifPromotion : "";
  return text + fmt::format("({}{})", file_of(move.from()) + 1, rank_of(move.from()) + 1);
}

}  // namespace keisei::shogi
