#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "guard/confidence_sequence.h"

namespace keisei::guard {

/// A share with its one-sided bounds, each of them valid at every look with 1 - alpha.
struct BoundedShare {
  double estimate = 0;
  double lower = 0;
  double upper = 1;
};

/// How the next block is to be made: known before it begins.
struct BlockPlan {
  int slots = 2;     ///< 2: every other slot is a hold-out; 20 at most
  double cap = 0.5;  ///< slots * cap <= 1

  static constexpr int kMostSlots = 20;  // 5 % of the time is held out then
};

/// A frame in which evaluations ran.
struct OnFrame {
  double seconds = 0;
  double seen_loss = 0;  ///< of the reference's rate; negative where it was faster
  double loss = 0;       ///< the same, for the upper bound: a gain is believed up to a point
};

/// A block of frames with its hold-out, as training_impact.h describes it.
struct ImpactBlock {
  double slot_s = 1;  ///< the length that was planned for each of its slots, before it began
  double cap = 0;
  std::vector<OnFrame> frames;
  std::optional<double> off_gain;  ///< of the hold-out over the reference's rate, minus 1
};

/// The loss over blocks of one kind, bounded at every look. In seconds: slots are longer beside a
/// training with longer steps, and what is lost in a long one counts accordingly.
class BlockSums {
 public:
  explicit BlockSums(double alpha) : upper_(alpha), lower_(alpha) {}

  /// REQUIRES: its hold-out and a frame at least. Its loss, in seconds of the reference's work.
  double add(const ImpactBlock& block);
  /// [0, 1] before the first.
  [[nodiscard]] BoundedShare share() const;
  [[nodiscard]] double seconds() const { return seconds_; }
  [[nodiscard]] std::int64_t blocks() const { return blocks_; }
  [[nodiscard]] std::int64_t frames() const { return frames_; }
  /// Blocks whose hold-out was faster than the cap, which is smaller where frames are overlong.
  [[nodiscard]] std::int64_t wholly_lost() const { return wholly_lost_; }
  /// Mean of ln(r_on / r_off) over blocks.
  [[nodiscard]] std::optional<double> log_ratio() const;

 private:
  std::int64_t blocks_ = 0;
  std::int64_t frames_ = 0;
  double loss_ = 0;        // seconds, as the next two
  double upper_loss_ = 0;  // before the slack
  double lower_loss_ = 0;
  double seconds_ = 0;
  std::int64_t wholly_lost_ = 0;
  double log_ratio_ = 0;
  std::int64_t log_ratios_ = 0;
  SumBound upper_;
  SumBound lower_;
};

}  // namespace keisei::guard
