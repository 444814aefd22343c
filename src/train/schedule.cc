#include "train/schedule.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace keisei::train {
namespace {

double between(double start, double end, double share) { return start + (end - start) * share; }

double share_of(std::int64_t step, std::int64_t total) {
  return std::clamp(static_cast<double>(step) / static_cast<double>(total), 0.0, 1.0);
}

}  // namespace

double Schedule::learning_rate(std::int64_t step) const {
  return between(learning_rate_start, learning_rate_end, share_of(step, total_steps));
}

double Schedule::entropy(std::int64_t step) const {
  return between(entropy_start, entropy_end, share_of(step, total_steps));
}

bool kl_exceeds(double kl, double limit) { return !(kl <= limit); }

double clip_factor(double norm, double limit) { return norm > limit ? limit / norm : 1.0; }

bool crosses_multiple(std::int64_t before, std::int64_t after, std::int64_t interval) {
  KEISEI_CHECK(interval >= 1 && before <= after, "{}..{} by {}", before, after, interval);
  return after / interval > before / interval;
}

}  // namespace keisei::train
