#include "shogi/zobrist.h"

namespace keisei::shogi {
namespace {

// SplitMix64 (Steele, Lea and Flood 2014).
constexpr std::uint64_t next(std::uint64_t& state) {
  state += 0x9E3779B97F4A7C15U;
  std::uint64_t mixed = state;
  mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9U;
  mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBU;
  return mixed ^ (mixed >> 31);
}

constexpr ZobristTable make_table() {
  ZobristTable table{};
  std::uint64_t state = 27;
  for (auto& squares : table.pieces) {
    for (std::uint64_t& number : squares) {
      number = next(state);
    }
  }
  table.white_to_move = next(state);
  return table;
}

}  // namespace

constexpr ZobristTable kZobrist = make_table();

}  // namespace keisei::shogi
