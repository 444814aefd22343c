#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace keisei::bench {

/// The smallest value that a share of `q` (0 to 1) of them does not exceed: of 30 values the 99th
/// percentile is the worst. `values` has one at least.
[[nodiscard]] inline double quantile(std::vector<double> values, double q) {
  std::ranges::sort(values);
  const double rank = std::ceil(q * static_cast<double>(values.size()));
  return values[static_cast<std::size_t>(std::max(1.0, rank)) - 1];
}

}  // namespace keisei::bench
