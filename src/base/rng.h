#pragma once

#include <array>
#include <cstdint>

namespace keisei {

/// Philox4x32-10 (Salmon et al. 2011): four random 32-bit words as a pure function of key and
/// counter, so that a draw does not depend on which thread makes it or on what was drawn before.
[[nodiscard]] std::array<std::uint32_t, 4> philox(std::uint64_t key,
                                                  std::array<std::uint32_t, 4> counter);

/// What random numbers are for: each purpose has 2^56 streams of its own, so that under one seed no
/// two purposes share a draw.
enum class Purpose : std::uint8_t {
  Weights = 1,   // numbered by tensor
  SelfPlay,      // by game slot
  Shuffle,       // by epoch since the run began
  Game,          // of a match, by match and game
  Opening,       // of a match, by match and pair
  ImpactDesign,  // of hold-outs in a training's frames
};

/// The stream of `purpose` with that number. REQUIRES: number < 2^56.
[[nodiscard]] std::uint64_t stream_of(Purpose purpose, std::uint64_t number);

/// A stream of draws named by (seed, stream): two generators with equal names and positions agree.
/// Not for cryptography. Satisfies UniformRandomBitGenerator.
class Rng {
 public:
  using result_type = std::uint64_t;

  Rng(std::uint64_t seed, std::uint64_t stream) : seed_(seed), stream_(stream) {}

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }

  result_type operator()();

  /// Uniform in [0, bound); `bound` must be positive. Without modulo bias (Lemire 2019).
  std::uint32_t below(std::uint32_t bound);

  /// Uniform in [0, 1) with 53 random bits.
  double uniform();

  /// How many 64-bit words were drawn. `seek` goes to such a position, for resuming.
  [[nodiscard]] std::uint64_t position() const { return position_; }
  void seek(std::uint64_t position);

 private:
  std::uint64_t seed_;
  std::uint64_t stream_;
  std::uint64_t position_ = 0;
  std::array<std::uint64_t, 2> block_{};  // the draws of the current pair of positions
};

}  // namespace keisei
