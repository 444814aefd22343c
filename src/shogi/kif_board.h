#pragma once

#include <string_view>

#include "base/result.h"
#include "shogi/placement.h"
#include "shogi/record_builder.h"

namespace keisei::shogi {

/// KIF's drawn positions:
///   後手の持駒：飛　歩二
///     ９ ８ ７ ６ ５ ４ ３ ２ １
///   +---------------------------+
///   |v香v桂v銀v金v玉v金v銀v桂v香|一
///   ...
///   先手の持駒：なし

/// Reads one row, «|v香 ・ 歩...|一», from file 9 to file 1.
[[nodiscard]] Result<void> read_kif_rank(const RecordLine& line, int rank, Placement& placement);

/// Reads «飛　歩十八», «なし» or nothing into the hand of `color`.
[[nodiscard]] Result<void> read_kif_hand(const RecordLine& line, std::string_view text, Color color,
                                         Placement& placement);

/// The whole drawing, both hands included, with LF after each line.
[[nodiscard]] std::string draw_kif_board(const Placement& placement);

}  // namespace keisei::shogi
