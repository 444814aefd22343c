#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace keisei::guard {

/// An upper bound on a running sum of conditional means, which holds at every look at once:
/// with probability 1 - alpha, for all n,
///   sum_i u_i E[x_i | past]  <=  sum_i u_i x_i + slack(n).
///
///   add(x, unit) ... -> slack()
///
/// Assumes that each x_i <= 1, that its unit u_i is known before it, and nothing else: neither
/// independence, nor equal means, nor a known variance, nor a lower end. For each lambda > 0, as
/// long as every lambda u_i < 1,
///   exp(sum lambda u_i (E[x_i] - x_i) - sum psi(lambda u_i) x_i^2),
///   psi(y) = -log(1 - y) - y,
/// is a supermartingale (Fan, Grama, Liu 2015, Prop. 4.1; Howard, Ramdas, McAuliffe, Sekhon 2021,
/// Lemma 3), and so it is where it falls to 0 for good at the first unit that is too large for its
/// lambda. So a mixture over a fixed grid of lambda, in parts of the first unit, crosses 1 / alpha
/// with probability alpha at most (Ville). The slack is where the mixture crosses, or what it would
/// be if every x_i were 1. A pure accumulator.
class SumBound {
 public:
  explicit SumBound(double alpha) : alpha_(alpha) {}

  /// REQUIRES: x <= 1, unit > 0.
  void add(double x, double unit = 1);
  [[nodiscard]] std::int64_t count() const { return count_; }
  /// Of unit * x.
  [[nodiscard]] double sum() const { return sum_; }
  /// Nothing was added: 0. Solved once for each sum: it is asked for at every look.
  [[nodiscard]] double slack() const;

 private:
  static constexpr std::size_t kComponents = 10;
  [[nodiscard]] double log_mixture(double excess) const;
  [[nodiscard]] double crossing_of_best(double threshold) const;
  [[nodiscard]] double crossing() const;

  double alpha_;
  std::int64_t count_ = 0;
  double sum_ = 0;
  double units_ = 0;
  double first_unit_ = 1;
  // Of each lambda: sum psi(lambda u) x^2, around the prediction 0; infinite where it has fallen.
  std::array<double, kComponents> variance_{};
  mutable std::optional<double> slack_;
};

}  // namespace keisei::guard
