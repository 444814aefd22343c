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

/// The planes at one square.
using Cell = std::array<float, kPlanes>;

/// An empty square: what is the same all over the board.
Cell empty_cell(const Observation& seen) {
  Cell cell{};
  for (std::size_t i = 0; i < kHandKinds; ++i) {
    const int most = shogi::kKindTotal[i % shogi::kHandKindCount + 1];
    cell[kHandPlane + i] = static_cast<float>(seen.hands[i]) / static_cast<float>(most);
  }
  for (std::size_t i = 0; i < seen.repetition; ++i) {
    cell[kRepetitionPlane + i] = 1.0F;
  }
  cell[kCheckPlane] = seen.in_check != 0 ? 1.0F : 0.0F;
  cell[kPlyPlane] = static_cast<float>(seen.ply) / static_cast<float>(seen.ply_cap);
  cell[kOnesPlane] = 1.0F;
  return cell;
}

/// [code of Observation::board]: the plane that shows it. That of an empty square is one anyway, so
/// every square is written alike; a branch here is guessed wrong at every third square.
constexpr std::array<std::uint8_t, kHandPlane + 1> make_shown_on() {
  std::array<std::uint8_t, kHandPlane + 1> planes{kOnesPlane};
  for (std::size_t code = 1; code < planes.size(); ++code) {
    planes[code] = static_cast<std::uint8_t>(code - 1);
  }
  return planes;
}
constexpr auto kShownOn = make_shown_on();

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
  float* out = planes.data();
  for (const Observation& seen : batch) {
    const Cell cell = empty_cell(seen);
    for (const std::uint8_t code : seen.board) {
      std::ranges::copy(cell, out);
      out[kShownOn[code]] = 1.0F;
      out += kPlanes;
    }
  }
}

}  // namespace keisei::env
