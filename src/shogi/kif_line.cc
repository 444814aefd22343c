#include "shogi/kif_line.h"

#include <algorithm>
#include <array>
#include <string>

#include "shogi/kif_words.h"
#include "shogi/record_text.h"

namespace keisei::shogi {
namespace {

constexpr std::array<std::string_view, 2> kColons = {"：", ":"};
constexpr std::array<std::string_view, 10> kWideDigits = {"０", "１", "２", "３", "４",
                                                          "５", "６", "７", "８", "９"};
constexpr std::string_view kVariation = "変化";
constexpr std::string_view kMoveCount = "手数";

bool contains(std::string_view text, std::string_view word) {
  return text.find(word) != std::string_view::npos;
}

bool starts_with_digit(std::string_view text) {
  return (!text.empty() && text.front() >= '0' && text.front() <= '9') ||
         std::ranges::any_of(kWideDigits, [text](auto wide) { return text.starts_with(wide); });
}

std::string without_blanks(std::string_view text) {
  std::string out;
  for (text = trimmed(text); !text.empty(); text = trimmed(text)) {
    out += text.front();
    text.remove_prefix(1);
  }
  return out;
}

}  // namespace

std::optional<Color> take_kif_side(std::string_view& text) {
  if (take(text, "先手") || take(text, "下手")) {
    return Color::Black;
  }
  if (take(text, "後手") || take(text, "上手")) {
    return Color::White;
  }
  return std::nullopt;
}

std::optional<int> take_kif_move_number(std::string_view& text) {
  if (!text.empty() && text.front() >= '0' && text.front() <= '9') {
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

bool is_kif_ruler(std::string_view text) {
  if (text.starts_with("+-")) {
    return text.find_first_not_of("+-") == std::string_view::npos;
  }
  const std::string files = without_blanks(text);
  return files == "９８７６５４３２１" || files == "987654321";
}

bool is_kif_heading(std::string_view text) {
  return take(text, kMoveCount) && (text.empty() || text.front() == '-');
}

bool is_kif_variation(std::string_view text) {
  if (!take(text, kVariation) || !(take(text, kColons[0]) || take(text, kColons[1]))) {
    return false;
  }
  text = trimmed(text);
  return take_kif_move_number(text).has_value() && trimmed(text).starts_with("手");
}

std::optional<KifKeyLine> split_kif_key(std::string_view text) {
  std::size_t at = std::string_view::npos;
  std::size_t size = 0;
  for (const std::string_view colon : kColons) {
    const std::size_t found = text.find(colon);
    if (found < at) {
      at = found;
      size = colon.size();
    }
  }
  const std::string_view key = trimmed(text.substr(0, at));
  if (at == std::string_view::npos || key.empty()) {
    return std::nullopt;
  }
  return KifKeyLine{.key = key, .value = trimmed(text.substr(at + size))};
}

bool is_kif_game_key(std::string_view key) {
  const bool side = take_kif_side(key).has_value();
  return side ? key.empty() || key == "の持駒" || key == "の持ち駒"
              : key == "手合割" || key == "手番";
}

bool is_kif_detail_key(std::string_view key) {
  constexpr std::string_view kMarks = "#*&|+'";  // each begins a line of another kind somewhere
  const bool one_key =
      std::ranges::none_of(kColons, [key](std::string_view colon) { return contains(key, colon); });
  return one_key && !key.empty() && trimmed(key) == key && !contains(kMarks, key.substr(0, 1)) &&
         !starts_with_digit(key) && !key.starts_with("まで") && !key.starts_with(kMoveCount) &&
         key != kVariation && !is_kif_game_key(key);
}

RecordEnd kif_summary_end(std::string_view text, Color mover) {
  const bool black = contains(text, "先手") || contains(text, "下手");
  const bool of_mover = black == (mover == Color::Black);
  const bool won = contains(text, "勝");
  if (contains(text, "千日手")) {
    return RecordEnd::Repetition;
  }
  if (contains(text, "持将棋")) {
    return RecordEnd::Impasse;
  }
  if (contains(text, "中断")) {
    return RecordEnd::Interruption;
  }
  if (contains(text, "入玉")) {
    return RecordEnd::Declaration;
  }
  if (contains(text, "反則")) {
    return of_mover == won ? RecordEnd::OpponentFoul : RecordEnd::Foul;
  }
  if (contains(text, "不詰")) {  // which contains 詰
    return RecordEnd::NoCheckmate;
  }
  const bool mated = contains(text, "詰");
  if (won && !of_mover) {
    const bool late = contains(text, "時間切れ") || contains(text, "切れ負け");
    return late ? RecordEnd::TimeForfeit : mated ? RecordEnd::Checkmate : RecordEnd::Resignation;
  }
  return mated ? RecordEnd::Checkmate : RecordEnd::None;
}

}  // namespace keisei::shogi
