#include "shogi/signature.h"

#include <array>
#include <string_view>

#include "base/check.h"
#include "base/rng.h"
#include "shogi/game.h"
#include "shogi/sfen.h"

namespace keisei::shogi {
namespace {

struct Tree {
  std::string_view sfen;
  int depth;
};

// The start, the widest position there is, much in hand, many pins, a check, and both colours.
constexpr std::array kTrees = {
    Tree{"lnsgkgsnl/1r5b1/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL b - 1", 4},
    Tree{"R8/2K1S1SSk/4B4/9/9/9/9/9/1L1L1L3 b RBGSNLP3g3n17p 1", 2},
    Tree{"l6nl/5+P1gk/2np1S3/p1p4Pp/3P2Sp1/1PPb2P1P/P5GS1/R8/LN4bKL w GR5pnsg 1", 2},
    Tree{"9/9/9/3k5/9/5K3/9/9/9 b RB2G2S2N2L9Prb2g2s2n2l9p 1", 2},
    Tree{"8l/1l+R2P3/p2pBG1pp/kps1p4/Nn1P2G2/P1P1P2PP/1PS6/1KSG3+r1/LN2+p3L w Sbgn3p 124", 3},
    Tree{"l6nl/5+P1gk/2np1S3/p1p4Pp/3P2Sp1/1PPb2P1P/P5GS1/R2g2K2/LN4b1L w RGsn5p 3", 2},
    Tree{"lnsgkgsnl/1r5b1/9/9/9/9/9/1B5R1/LNSGKGSNL b 9P9p 1", 3},
    Tree{"8k/9/6NG1/9/9/9/9/9/K8 b P 1", 3}};
constexpr std::uint64_t kSeed = 1;
constexpr std::uint64_t kGames = 200;

/// FNV-1a over 64-bit words.
class Digest {
 public:
  void add(std::uint64_t word) { value_ = (value_ ^ word) * 0x100000001b3ULL; }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325ULL;
};

std::uint64_t walk(Position& position, int depth, Digest& digest) {
  digest.add(position.key().board);
  digest.add(position.key().hands);
  MoveList moves;
  generate_legal(position, moves);
  digest.add(moves.size());
  std::uint64_t nodes = 0;
  for (const Move move : moves) {
    digest.add(move.bits);
    if (depth == 1) {
      ++nodes;
      continue;
    }
    const Undo undo = position.do_move(move);
    nodes += walk(position, depth - 1, digest);
    position.undo_move(move, undo);
  }
  return nodes;
}

std::uint64_t play(Game& game, std::uint64_t number, Digest& digest) {
  game.reset();
  Rng rng(kSeed, number);
  while (!game.is_over()) {
    const auto moves = game.legal_moves();
    const Move move = moves[rng.below(static_cast<std::uint32_t>(moves.size()))];
    digest.add(move.bits);
    game.play(move);
  }
  digest.add(static_cast<std::uint64_t>(game.verdict().ending));
  digest.add(game.position().key().board);
  return static_cast<std::uint64_t>(game.ply());
}

}  // namespace

Signature run_signature_bench() {
  Digest digest;
  Signature signature;
  for (const Tree& tree : kTrees) {
    Result<Position> position = parse_sfen(tree.sfen);
    KEISEI_CHECK(position.has_value(), "{}", position.error().message);
    signature.nodes += walk(*position, tree.depth, digest);
  }
  Game game(GameRules{});
  for (std::uint64_t number = 0; number < kGames; ++number) {
    signature.plies += play(game, number, digest);
  }
  signature.value = digest.value();
  return signature;
}

}  // namespace keisei::shogi
