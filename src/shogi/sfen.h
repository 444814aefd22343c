#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "shogi/position.h"

namespace keisei::shogi {

inline constexpr std::string_view kStartSfen =
    "lnsgkgsnl/1r5b1/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL b - 1";

/// Reads «board side hands number», one space between, nothing before or after; the hands in any
/// order, the number 1..99999. Fails, and says what is wrong and where, on any other bytes and on a
/// position that cannot stand (see validate).
[[nodiscard]] Result<Position> parse_sfen(std::string_view text);

/// The canonical text: Black's hand first, each in the order R B G S N L P.
[[nodiscard]] std::string to_sfen(const Position& position);

}  // namespace keisei::shogi
