#include "env/observation.h"

#include <algorithm>
#include <cstddef>

#include "base/check.h"

namespace keisei::env {
namespace {

using shogi::Color;
using shogi::Hand;
using shogi::Kind;
using shogi::Position;

constexpr int kPieceKinds = 14;
constexpr int kHandPlane = 2 * kPieceKinds;
constexpr int kHandKinds = 2 * shogi::kHandKindCount;
constexpr int kRepetitionPlane = kHandPlane + kHandKinds;
constexpr int kMaxRepetition = 3;
constexpr int kCheckPlane = kRepetitionPlane + kMaxRepetition;
constexpr int kPlyPlane = kCheckPlane + 1;
constexpr int kOnesPlane = kPlyPlane + 1;
static_assert(kOnesPlane + 1 == kPlanes);

using PieceCodes = std::array<std::uint8_t, shogi::kPieceLimit>;

constexpr PieceCodes codes_for(Color mover) {
  PieceCodes codes{};
  for (int kind = 1; kind <= kPieceKinds; ++kind) {
    const auto own =
        static_cast<std::size_t>(shogi::index(shogi::make_piece(mover, static_cast<Kind>(kind))));
    const auto other = static_cast<std::size_t>(
        shogi::index(shogi::make_piece(shogi::opponent(mover), static_cast<Kind>(kind))));
    codes[own] = static_cast<std::uint8_t>(kind);
    codes[other] = static_cast<std::uint8_t>(kind + kPieceKinds);
  }
  return codes;
}

constexpr std::array<PieceCodes, 2> kCodes = {codes_for(Color::Black), codes_for(Color::White)};

void write_hand(Hand hand, std::span<std::uint8_t> counts) {
  for (int kind = 1; kind <= shogi::kHandKindCount; ++kind) {
    counts[static_cast<std::size_t>(kind - 1)] =
        static_cast<std::uint8_t>(hand.count(static_cast<Kind>(kind)));
  }
}

void fill_plane(float* planes, int plane, float value) {
  std::fill_n(planes + static_cast<std::ptrdiff_t>(plane) * kSquares, kSquares, value);
}

/// `planes`: the kPlaneFloats zeros of one position.
void expand(const Observation& seen, float* planes) {
  for (std::size_t square = 0; square < kSquares; ++square) {
    if (seen.board[square] != 0) {
      planes[static_cast<std::size_t>(seen.board[square] - 1) * kSquares + square] = 1.0F;
    }
  }
  for (int i = 0; i < kHandKinds; ++i) {
    const int count = seen.hands[static_cast<std::size_t>(i)];
    if (count != 0) {
      const int kind = i % shogi::kHandKindCount + 1;
      const int most = shogi::kKindTotal[static_cast<std::size_t>(kind)];
      fill_plane(planes, kHandPlane + i, static_cast<float>(count) / static_cast<float>(most));
    }
  }
  for (int i = 0; i < seen.repetition; ++i) {
    fill_plane(planes, kRepetitionPlane + i, 1.0F);
  }
  if (seen.in_check != 0) {
    fill_plane(planes, kCheckPlane, 1.0F);
  }
  fill_plane(planes, kPlyPlane, static_cast<float>(seen.ply) / static_cast<float>(seen.ply_cap));
  fill_plane(planes, kOnesPlane, 1.0F);
}

}  // namespace

Observation observe(const Position& position, const GameContext& context) {
  Observation seen;
  const Color mover = position.side();
  const PieceCodes& codes = kCodes[static_cast<std::size_t>(mover)];
  for (shogi::Square square = 0; square < kSquares; ++square) {
    const shogi::Square from = mover == Color::Black ? square : kSquares - 1 - square;
    seen.board[static_cast<std::size_t>(square)] =
        codes[static_cast<std::size_t>(shogi::index(position.at(from)))];
  }
  const std::span<std::uint8_t> hands(seen.hands);
  write_hand(position.hand(mover), hands.first(shogi::kHandKindCount));
  write_hand(position.hand(shogi::opponent(mover)), hands.last(shogi::kHandKindCount));
  seen.repetition = static_cast<std::uint8_t>(std::min(context.repetition, kMaxRepetition));
  seen.in_check = context.in_check ? 1 : 0;
  seen.ply = static_cast<std::uint16_t>(context.ply);
  seen.ply_cap = static_cast<std::uint16_t>(context.ply_cap);
  return seen;
}

void expand_planes(std::span<const Observation> batch, std::span<float> planes) {
  KEISEI_CHECK(planes.size() == batch.size() * kPlaneFloats, "{} floats for {} observations",
               planes.size(), batch.size());
  std::ranges::fill(planes, 0.0F);
  float* out = planes.data();
  for (const Observation& seen : batch) {
    expand(seen, out);
    out += kPlaneFloats;
  }
}

}  // namespace keisei::env
