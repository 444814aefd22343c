#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace keisei::train {

/// Win, draw, loss probabilities as the mover of one position sees them.
using Wdl = std::array<float, 3>;

/// The expected result for that mover, in [-1, 1].
[[nodiscard]] inline float value_of(const Wdl& wdl) { return wdl[0] - wdl[2]; }

enum class StepEnd : std::uint8_t {
  Continues,
  Terminal,   // the rules ended the game: the reward is the result
  Truncated,  // we ended it: its value goes on, its trace does not
};

/// One ply of one game, in time order with its neighbours.
struct GaeStep {
  float reward = 0;  // -1, 0 or +1 to the mover; 0 unless Terminal
  StepEnd end = StepEnd::Continues;
  std::int8_t sigma = -1;  // -1: the successor is seen by the other side; +1: by the same
  Wdl wdl{};               // of this position
  Wdl next_wdl{};          // of its true successor, seen by whoever moves there; unused if Terminal
};

struct GaeParameters {
  float gamma = 1.0F;    // (0, 1]; what it takes away goes to the draw
  float lambda = 0.95F;  // [0, 1]
};

struct GaeTarget {
  float advantage = 0;
  Wdl wdl{};  // the lambda-return as a distribution; wdl[0] - wdl[2] == advantage + value
};

/// Generalised advantage estimation (Schulman et al. 2016, eq. 16) for two sides with opposite
/// interests: the sign turns with sigma on the successor's value *and* on the trace,
///   delta_t = r_t + sigma_t gamma (1 - terminal_t) v'_t - v_t
///   A_t     = delta_t + sigma_t gamma lambda (1 - done_t) A_{t+1},
/// where done is Terminal or Truncated, and the same recursion on distributions, where sigma = -1
/// swaps win and loss. `steps` are one game slot's plies; the last one bootstraps from its
/// successor. `targets` has the same size.
void estimate_advantages(std::span<const GaeStep> steps, const GaeParameters& parameters,
                         std::span<GaeTarget> targets);

}  // namespace keisei::train
