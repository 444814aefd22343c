#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace keisei::guard {

/// An upper bound on a running sum of conditional means, which holds at every look at once:
/// with probability 1 - alpha, for all n,  sum_i E[x_i | past]  <=  sum_i x_i + slack(n).
///
///   add(x) ... -> slack()
///
/// Assumes that each x_i <= 1, and nothing else: neither independence, nor equal means, nor a known
/// variance, nor a lower end. For each lambda in (0, 1)
///   exp(lambda sum (E[x_i] - x_i) - psi(lambda) sum x_i^2),  psi(lambda) = -log(1 - lambda) -
///   lambda,
/// is a supermartingale (Fan, Grama, Liu 2015, Prop. 4.1; Howard, Ramdas, McAuliffe, Sekhon 2021,
/// Lemma 3), so a mixture over a fixed grid of lambda crosses 1 / alpha with probability alpha at
/// most (Ville). The slack is where the mixture crosses. A pure accumulator.
class SumBound {
 public:
  explicit SumBound(double alpha) : alpha_(alpha) {}

  /// REQUIRES: x <= 1.
  void add(double x);
  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] double sum() const { return sum_; }
  /// Nothing was added: 0. Solved once for each sum: it is asked for at every look.
  [[nodiscard]] double slack() const;

 private:
  [[nodiscard]] double crossing() const;

  double alpha_;
  std::int64_t count_ = 0;
  double sum_ = 0;
  double squares_ = 0;  // the variance process around the prediction 0
  mutable std::optional<double> slack_;
};

}  // namespace keisei::guard
