#pragma once

#include <bitset>
#include <string>

#include "base/result.h"
#include "shogi/placement.h"
#include "shogi/position.h"
#include "shogi/record_builder.h"

namespace keisei::shogi {

/// The lines P of one game so far.
struct CsaPlacement {
  Placement placement;
  std::bitset<9> ranks;  // those that had their line
  bool is_even = false;  // PI gave them all
};

/// Reads one of CSA's lines about the start position into `read`: «PI82HI», «P1-KY * ...»,
/// «P+63OU00FU», «P-00AL».
[[nodiscard]] Result<void> read_csa_placement(const RecordLine& line, CsaPlacement& read);

/// The lines that say where the pieces of `start` are: PI, or P1 to P9, P+ and P-.
[[nodiscard]] std::string to_csa_placement(const Position& start);

}  // namespace keisei::shogi
