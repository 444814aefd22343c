#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <type_traits>

#include "shogi/position.h"

namespace keisei::env {

inline constexpr int kPlanes = 48;
inline constexpr int kSquares = 81;
inline constexpr int kPlaneFloats = kPlanes * kSquares;  // of one position

/// What the side to move sees: «own» is the mover, and for White the board is turned by 180
/// degrees, so nothing in it names a colour. Squares are numbered file * 9 + rank from 1a of that
/// view, as in an Action. 102 bytes, one per position in a rollout.
struct Observation {
  std::array<std::uint8_t, kSquares> board{};  // 0 empty, 1..14 own shogi::Kind, 15..28 opponent's
  std::array<std::uint8_t, 14> hands{};        // own P L N S B R G, then the opponent's
  std::uint8_t repetition = 0;                 // earlier occurrences of this position, 0..3
  std::uint8_t in_check = 0;                   // 0 or 1
  std::uint16_t ply = 0;                       // plies played in this game
  std::uint16_t ply_cap = 0;                   // plies at which the game is drawn, >= 1

  friend bool operator==(const Observation&, const Observation&) = default;
};
static_assert(std::is_trivially_copyable_v<Observation> && sizeof(Observation) <= 128);

/// What about a position its board does not tell.
struct GameContext {
  int repetition = 0;  // earlier occurrences, >= 0
  bool in_check = false;
  int ply = 0;      // 0..65535
  int ply_cap = 1;  // 1..65535
};

[[nodiscard]] Observation observe(const shogi::Position& position, const GameContext& context);

/// Writes [N][9][9][kPlanes] float32 (file, rank, plane: «channels last»), every float of `planes`.
///   0..13  own pieces P L N S B R G K +P +L +N +S +B +R, 14..27 the opponent's: 1 where one stands
///   28..34 own hand P L N S B R G, 35..41 the opponent's: count / 18 4 4 4 2 2 4
///   42..44 ones from the first, second, third earlier occurrence on (>= 1, >= 2, >= 3; the last
///          only in a finished game)
///   45     ones in check      46  ply / ply_cap, in 0..1      47  ones
/// REQUIRES: planes.size() == batch.size() * kPlaneFloats. Any thread.
void expand_planes(std::span<const Observation> batch, std::span<float> planes);

}  // namespace keisei::env
