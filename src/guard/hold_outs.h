#pragma once

#include <cstdint>
#include <span>

#include "base/rng.h"
#include "telemetry/records.h"

namespace keisei::guard {

/// Draws which slot of each block is its hold-out, in the order in which the blocks are made. Pure
/// but for the seed: who has it knows them all, so it is told when the supervision has ended.
class HoldOuts {
 public:
  explicit HoldOuts(std::uint64_t seed) : random_(seed, stream_of(Purpose::ImpactDesign, 0)) {}

  /// 1 .. slots
  [[nodiscard]] std::int64_t next(int slots) {
    return 1 + static_cast<std::int64_t>(random_.below(static_cast<std::uint32_t>(slots)));
  }

 private:
  Rng random_;
};

/// How the blocks of one supervision compare with a seed.
struct HoldOutsCheck {
  std::int64_t blocks = 0;  ///< with a frame at least
  std::int64_t others = 0;  ///< of them, whose hold-out is not where the seed puts it
};

/// Draws the hold-outs again. Of a block without a frame nothing is known but that it was drawn.
[[nodiscard]] HoldOutsCheck check_hold_outs(std::uint64_t seed,
                                            std::span<const telemetry::FrameRecord> frames);

}  // namespace keisei::guard
