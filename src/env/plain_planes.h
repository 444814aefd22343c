#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "env/observation.h"

namespace keisei::env {

/// What expand_planes writes for one position, as its comment says it: a plane at a time over
/// zeros, then the planes turned inside out. Slow; tests and benches hold expand_planes against it.
inline void plain_planes(const Observation& seen, std::span<float> planes) {
  static constexpr float kMost[] = {18, 4, 4, 4, 2, 2, 4};
  static thread_local std::vector<float> whole(kPlaneFloats);  // [kPlanes][81]
  const auto fill = [](std::size_t plane, float value) {
    std::ranges::fill(std::span(whole).subspan(plane * kSquares, kSquares), value);
  };
  std::ranges::fill(whole, 0.0F);
  for (std::size_t square = 0; square < kSquares; ++square) {
    const std::size_t code = seen.board[square];
    if (code != 0) {
      whole[(code - 1) * kSquares + square] = 1.0F;
    }
  }
  for (std::size_t i = 0; i < seen.hands.size(); ++i) {
    fill(28 + i, static_cast<float>(seen.hands[i]) / kMost[i % 7]);
  }
  for (std::size_t i = 0; i < seen.repetition; ++i) {
    fill(42 + i, 1.0F);
  }
  fill(45, seen.in_check != 0 ? 1.0F : 0.0F);
  fill(46, static_cast<float>(seen.ply) / static_cast<float>(seen.ply_cap));
  fill(47, 1.0F);
  for (std::size_t square = 0; square < kSquares; ++square) {
    for (std::size_t plane = 0; plane < kPlanes; ++plane) {
      planes[square * kPlanes + plane] = whole[plane * kSquares + square];
    }
  }
}

}  // namespace keisei::env
