#include "guard/tree_growth.h"

#include <algorithm>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr Bytes kMostBreath = megabytes(5);
constexpr std::chrono::nanoseconds kGrowthTime = 100ms;  // over which it adds up
constexpr std::chrono::nanoseconds kRemembered = 250ms;

}  // namespace

TreeGrowth::TreeGrowth(Bytes limit) : breath_(std::min(Bytes{limit.count / 100}, kMostBreath)) {}

void TreeGrowth::note(Bytes memory, MonotonicTime now) {
  const bool grew = memory > from_ + breath_;
  if (grew) {
    last_ = now;
  }
  if (grew || memory < from_ || now > since_ + kGrowthTime) {
    from_ = memory;
    since_ = now;
  }
  seen_ = last_ && now <= *last_ + kRemembered;
}

void TreeGrowth::leave_out(std::chrono::nanoseconds stood_still) {
  since_ += stood_still;
  if (last_) {
    *last_ += stood_still;
  }
}

}  // namespace keisei::guard
