#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "shogi/record_builder.h"

namespace keisei::shogi {

/// What the text of a move's line says, before anybody looks at a board: «同　銀成(34)   (
/// 0:02/...)».
struct KifMove {
  RecordEnd end = RecordEnd::None;  // with an end there is no move
  std::optional<Square> to;         // nothing: to where the last move went
  std::optional<Square> from;       // nothing: a drop
  Kind kind = Kind::None;           // as it stood before the move
  bool promotes = false;
  std::optional<std::chrono::milliseconds> time;
};

/// Reads `text`, the part of the line after the move's number.
[[nodiscard]] Result<KifMove> parse_kif_move(const RecordLine& line, std::string_view text);

/// «７六歩(77)», «５五角打». `last` is the square that the last move went to.
[[nodiscard]] std::string to_kif(const Position& position, Move move, std::optional<Square> last);

}  // namespace keisei::shogi
