#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "shogi/game_record.h"
#include "shogi/types.h"

namespace keisei::shogi {

inline constexpr std::array<std::string_view, kKindCount> kKifPieces = {
    "",   "歩", "香",   "桂",   "銀",   "角", "飛", "金",
    "玉", "と", "成香", "成桂", "成銀", "馬", "龍"};  // by Kind, as in moves

inline constexpr std::array<std::string_view, 9> kKifFiles = {"１", "２", "３", "４", "５",
                                                              "６", "７", "８", "９"};
inline constexpr std::array<std::string_view, 9> kKifRanks = {"一", "二", "三", "四", "五",
                                                              "六", "七", "八", "九"};

/// «同»: to where the last move went.
inline constexpr std::string_view kKifSame = "同";
inline constexpr std::string_view kKifDrop = "打";
inline constexpr std::string_view kKifPromotion = "成";

/// By RecordEnd; empty where KIF has no word.
inline constexpr std::array<std::string_view, kRecordEndCount> kKifEnds = {
    "", "投了", "中断", "千日手", "切れ負け", "反則負け", "反則勝ち", "持将棋", "入玉勝ち",
    "", "",     "詰み", "不詰",   "",         "",         "不戦勝",   "不戦敗"};

/// Removes a piece from the front of `text`: any of its names, one kanji or two, 王 and 竜 too.
/// None where none stands there.
[[nodiscard]] Kind take_kif_piece(std::string_view& text);

/// Removes one digit 1..9 from the front of `text`: ASCII, full-width or kanji.
[[nodiscard]] std::optional<int> take_kif_digit(std::string_view& text);

/// Removes a count 1..99 in kanji (十八) or in digits from the front of `text`.
[[nodiscard]] std::optional<int> take_kif_count(std::string_view& text);

/// «十八». REQUIRES: 1 <= count <= 19.
[[nodiscard]] std::string kif_count(int count);

/// A name of 手合割: what the board lacks, and who moves first.
struct KifHandicap {
  std::string_view name;
  std::string_view sfen;
  bool written = true;  // few programs know the others: their board is drawn instead
};
[[nodiscard]] std::span<const KifHandicap> kif_handicaps();

/// KIF's word for a key of RecordDetail, or the key itself; and back.
[[nodiscard]] std::string_view to_kif_key(std::string_view key);
[[nodiscard]] std::string_view from_kif_key(std::string_view key);

}  // namespace keisei::shogi
