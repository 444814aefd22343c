#pragma once

#include <optional>
#include <string_view>

#include "shogi/game_record.h"
#include "shogi/types.h"

namespace keisei::shogi {

/// What a trimmed line of KIF is, by how it looks: what the reader asks, and the writer, so that no
/// free text of it is read as something else.

/// 先手 and 下手 are Black, 後手 and 上手 (who gives a handicap) are White; removed from the front.
[[nodiscard]] std::optional<Color> take_kif_side(std::string_view& text);

/// «12» or «１２» from the front of a move's line.
[[nodiscard]] std::optional<int> take_kif_move_number(std::string_view& text);

/// The files above a drawn board («９ ８ ７ ６ ５ ４ ３ ２ １»), or the line around it («+---+»).
[[nodiscard]] bool is_kif_ruler(std::string_view text);

/// «手数----指手---------消費時間--», above the moves.
[[nodiscard]] bool is_kif_heading(std::string_view text);

/// «変化：12手»: from here on another line of play, in place of move 12.
[[nodiscard]] bool is_kif_variation(std::string_view text);

struct KifKeyLine {
  std::string_view key;  // not empty
  std::string_view value;
};

/// «key：value», trimmed; nothing where there is no colon or nothing before it.
[[nodiscard]] std::optional<KifKeyLine> split_kif_key(std::string_view text);

/// Whether the start position or a player stands under this key: 手合割, 手番, 先手の持駒, 上手,
/// ...
[[nodiscard]] bool is_kif_game_key(std::string_view key);

/// Whether «key：value» is a detail to every reader of KIF, whatever the value.
[[nodiscard]] bool is_kif_detail_key(std::string_view key);

/// How the game ended by «まで97手で先手の勝ち» (here without まで), where `mover` would move next.
/// None where the words are not known.
[[nodiscard]] RecordEnd kif_summary_end(std::string_view text, Color mover);

}  // namespace keisei::shogi
