#pragma once

#include <chrono>
#include <optional>

#include "base/clock.h"
#include "base/units.h"

namespace keisei::guard {

/// Whether a tree's memory grows: by more than a tree of one size breathes, seen over several
/// looks, since they may follow each other so closely that hardly anything grows between two of
/// them. What grew is remembered for a while. One thread.
class TreeGrowth {
 public:
  /// A hundredth of `limit`, 5 MB at most, is breath.
  explicit TreeGrowth(Bytes limit);

  /// `memory`: all that the tree is believed to have at `now`.
  void note(Bytes memory, MonotonicTime now);
  /// Who stood still for so long has not grown, and is no more to be trusted for that.
  void leave_out(std::chrono::nanoseconds stood_still);
  /// It grows, or did in the last 250 ms before the last look.
  [[nodiscard]] bool seen() const { return seen_; }

 private:
  Bytes breath_;
  Bytes from_;  // what is more than this has grown
  MonotonicTime since_;
  std::optional<MonotonicTime> last_;
  bool seen_ = false;
};

}  // namespace keisei::guard
