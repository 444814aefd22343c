#pragma once

#include <string_view>

#include "base/result.h"
#include "shogi/game_record.h"

namespace keisei::shogi {

/// The record format of Kakinoki Shogi and Kifu for Windows (kakinoki.o.oo7.jp/kif_format.html). A
/// file holds one game.

/// Reads UTF-8 text with LF or CRLF. Variations and bookmarks are left out and named. Fails, and
/// names the line and what to do, on what is neither a «key：value», a move nor a comment, on a
/// move that is missing and on an illegal one.
[[nodiscard]] Result<ReadRecords> read_kif(std::string_view text);

/// Has no place for the number of the first move, parts of seconds, and some ends, for which the
/// nearest one is written and the exact one named.
[[nodiscard]] WrittenRecords write_kif(const GameRecord& game);

}  // namespace keisei::shogi
