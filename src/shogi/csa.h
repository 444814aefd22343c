#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "shogi/game_record.h"

namespace keisei::shogi {

/// The record format of the Computer Shogi Association, versions 1 to 3.0
/// (www2.computer-shogi.org/protocol/record_v3.html). A file holds any number of games.

/// Reads UTF-8 text with LF or CRLF. Lines that begin with «'*» are comments to keep, other lines
/// with «'» are skipped, as the format says. Fails, and names the line and what to do, on anything
/// else and on an illegal move.
[[nodiscard]] Result<ReadRecords> read_csa(std::string_view text);

/// Version 3.0. Has no place for the number of the first move, for keys that are not ASCII, for a
/// time limit that is not written as «00:25+00», and for wins and losses by default.
[[nodiscard]] WrittenRecords write_csa(std::span<const GameRecord> games);

}  // namespace keisei::shogi
