#include "shogi/rules.h"

namespace keisei::shogi {
namespace {

constexpr int kMinPiecesInZone = 10;  // besides the king
constexpr int kBigPieceExtra = 4;     // bishop and rook count five
constexpr int kBlackPoints = 28;
constexpr int kWhitePoints = 27;

int hand_points(Hand hand) {
  int points = 0;
  for (int kind = 1; kind <= kHandKindCount; ++kind) {
    points += hand.count(static_cast<Kind>(kind));
  }
  return points + kBigPieceExtra * (hand.count(Kind::Bishop) + hand.count(Kind::Rook));
}

}  // namespace

std::string_view to_string(Ending ending) {
  switch (ending) {
    case Ending::None:
      return "none";
    case Ending::Checkmate:
      return "checkmate";
    case Ending::NoLegalMoves:
      return "no_legal_moves";
    case Ending::Repetition:
      return "repetition";
    case Ending::PerpetualCheck:
      return "perpetual_check";
    case Ending::Declaration:
      return "declaration";
    case Ending::PlyCap:
      return "ply_cap";
  }
  return "unknown";
}

bool can_declare(const Position& position) {
  const Color side = position.side();
  const Bitboard zone =
      side == Color::Black ? kFarRanks<Color::Black, 3> : kFarRanks<Color::White, 3>;
  if (!zone.contains(position.king(side))) {
    return false;
  }
  const Bitboard inside = position.pieces(side) & zone;
  const int pieces = inside.count() - 1;
  if (pieces < kMinPiecesInZone) {
    return false;
  }
  const Bitboard big = position.pieces(Kind::Bishop) | position.pieces(Kind::Rook) |
                       position.pieces(Kind::Horse) | position.pieces(Kind::Dragon);
  const int points =
      pieces + kBigPieceExtra * (inside & big).count() + hand_points(position.hand(side));
  return points >= (side == Color::Black ? kBlackPoints : kWhitePoints) && !position.in_check();
}

}  // namespace keisei::shogi
