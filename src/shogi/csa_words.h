#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "shogi/game_record.h"
#include "shogi/types.h"

namespace keisei::shogi {

inline constexpr std::array<std::string_view, kKindCount> kCsaPieces = {
    "", "FU", "KY", "KE", "GI", "KA", "HI", "KI", "OU", "TO", "NY", "NK", "NG", "UM", "RY"};

/// By RecordEnd, without «%»; empty where CSA has no word. OpponentFoul is written with the sign of
/// who broke the rule before it.
inline constexpr std::array<std::string_view, kRecordEndCount> kCsaEnds = {
    "",          "TORYO", "CHUDAN",   "SENNICHITE", "TIME_UP", "ILLEGAL_MOVE", "ILLEGAL_ACTION",
    "JISHOGI",   "KACHI", "HIKIWAKE", "MATTA",      "TSUMI",   "FUZUMI",       "ERROR",
    "MAX_MOVES", "",      ""};

/// What stands for the hand in place of a square.
inline constexpr Square kCsaHand = -1;

[[nodiscard]] constexpr char csa_sign(Color color) { return color == Color::Black ? '+' : '-'; }
[[nodiscard]] std::optional<Color> color_of_csa_sign(char sign);
/// None where there is no such piece.
[[nodiscard]] Kind csa_piece(std::string_view word);
/// «77», or «00» for the hand; nothing for anything else.
[[nodiscard]] std::optional<Square> csa_square(std::string_view word);

}  // namespace keisei::shogi
