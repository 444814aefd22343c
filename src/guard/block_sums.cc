#include "guard/block_sums.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace keisei::guard {

double BlockSums::add(const ImpactBlock& block) {
  KEISEI_CHECK(block.off_gain && !block.frames.empty(), "a block is not complete");
  // In slots of that block.
  double weight = 0;
  double work = 0;  // of the reference, their length at most
  double seen_loss = 0;
  double on_loss = 0;
  for (const OnFrame& frame : block.frames) {
    const double slots = frame.seconds / block.slot_s;
    weight += slots;
    work += slots * std::min(1 - frame.loss, 1.0);
    seen_loss += slots * frame.seen_loss;
    on_loss += slots * frame.loss;
    seconds_ += frame.seconds;
  }
  const double gain = *block.off_gain;
  // The longer its frames, the less a hold-out may be off; what is too long for that is bounded
  // alone.
  const double all_to_on = 1 + 1 / static_cast<double>(block.frames.size());  // with the hold-out
  const double drawn = std::min(weight, BlockPlan::kMostSlots / all_to_on);
  const double slots = drawn * all_to_on;
  const double cap = std::min(block.cap, 1 / slots);
  const double beyond = (weight - drawn) * cap;
  ++blocks_;
  frames_ += static_cast<std::int64_t>(block.frames.size());
  const double loss = block.slot_s * (seen_loss + weight * gain);
  loss_ += loss;
  // Clipped on the far side too: a hold-out that stood still must not buy, nor cost, hours; nor
  // does one that is slow beyond the cap make up for work that was not done.
  const double upper_gain = std::max(gain, -2 * cap);
  const double made_up = gain < -cap ? std::min(work, drawn) : drawn;
  const double upper_loss = on_loss + made_up * upper_gain + beyond;
  if (gain > cap) {
    ++wholly_lost_;
  }
  upper_loss_ += block.slot_s * (gain > cap ? std::max(upper_loss, weight) : upper_loss);
  upper_.add(std::min(1.0, slots * std::min(upper_gain, cap)), block.slot_s);
  const double lower_gain = std::min(gain, 2 * cap);
  const double lower_loss = seen_loss + drawn * lower_gain - beyond;
  lower_loss_ += block.slot_s * (gain < -cap ? std::min(lower_loss, 0.0) : lower_loss);
  lower_.add(std::min(1.0, -slots * std::max(lower_gain, -cap)), block.slot_s);
  const double on_rate = 1 - seen_loss / weight;
  if (on_rate > 0 && gain > -1) {
    log_ratio_ += std::log(on_rate / (1 + gain));
    ++log_ratios_;
  }
  return loss;
}

BoundedShare BlockSums::share() const {
  if (blocks_ == 0) {
    return {.estimate = 0, .lower = 0, .upper = 1};
  }
  return {.estimate = loss_ / seconds_,
          .lower = (lower_loss_ - lower_.slack()) / seconds_,
          .upper = std::min(1.0, (upper_loss_ + upper_.slack()) / seconds_)};
}

std::optional<double> BlockSums::log_ratio() const {
  return log_ratios_ > 0 ? std::optional(log_ratio_ / static_cast<double>(log_ratios_))
                         : std::nullopt;
}

}  // namespace keisei::guard
