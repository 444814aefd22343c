#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "shogi/types.h"

namespace keisei::shogi {

/// «5e»
[[nodiscard]] std::string to_usi(Square square);
/// «7g7f», «2b3c+», «P*5e». REQUIRES: move is not none.
[[nodiscard]] std::string to_usi(Move move);

/// Reads exactly what to_usi writes; fails on anything else. Whether a position allows the move is
/// another question.
[[nodiscard]] Result<Move> parse_usi_move(std::string_view text);

/// The text between «», bytes that are not printable ASCII as \xNN, cut after 100 bytes: for
/// messages about text from outside.
[[nodiscard]] std::string in_quotes(std::string_view text);

}  // namespace keisei::shogi
