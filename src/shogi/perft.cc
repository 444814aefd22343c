#include "shogi/perft.h"

#include "base/check.h"
#include "shogi/movegen.h"

namespace keisei::shogi {
namespace {

template <PerftLeaves leaves>
std::uint64_t count(Position& position, int depth) {
  if (depth == 0) {
    return 1;
  }
  MoveList moves;
  generate_legal(position, moves);
  if (leaves == PerftLeaves::Bulk && depth == 1) {
    return moves.size();
  }
  std::uint64_t nodes = 0;
  for (const Move move : moves) {
    const Undo undo = position.do_move(move);
    nodes += count<leaves>(position, depth - 1);
    position.undo_move(move, undo);
  }
  return nodes;
}

}  // namespace

std::uint64_t perft(const Position& position, int depth, PerftLeaves leaves) {
  KEISEI_CHECK(depth >= 0, "perft of depth {}", depth);
  Position root = position;
  return leaves == PerftLeaves::Bulk ? count<PerftLeaves::Bulk>(root, depth)
                                     : count<PerftLeaves::Played>(root, depth);
}

std::vector<PerftBranch> perft_divide(const Position& position, int depth, PerftLeaves leaves) {
  KEISEI_CHECK(depth >= 1, "perft by first move needs depth 1 or more, not {}", depth);
  MoveList moves;
  generate_legal(position, moves);
  std::vector<PerftBranch> branches;
  branches.reserve(moves.size());
  for (const Move move : moves) {
    Position next = position;
    (void)next.do_move(move);
    branches.push_back({.move = move, .nodes = perft(next, depth - 1, leaves)});
  }
  return branches;
}

}  // namespace keisei::shogi
