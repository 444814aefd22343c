#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "shogi/game_record.h"

namespace keisei::shogi {

/// Games as USI's position command says them, one a line: «position startpos moves 7g7f ...» or
/// «position sfen SFEN moves ...». A line that begins with «#» is a comment to the game after it.

/// The word «position» may be missing, and so may «moves» where none are. Fails, and names the line
/// and what to do, on anything else and on an illegal move.
[[nodiscard]] Result<ReadRecords> read_usi_record(std::string_view text);

/// Has no place for names, details, times, comments after moves, and ends.
[[nodiscard]] WrittenRecords write_usi_record(std::span<const GameRecord> games);

}  // namespace keisei::shogi
