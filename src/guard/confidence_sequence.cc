#include "guard/confidence_sequence.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace keisei::guard {
namespace {

struct Component {
  double lambda;
  double weight;
};

/// Half of the weight where few looks at a quiet training are decided, the rest for noisy ones.
constexpr std::array<Component, 10> kMixture = {{{0.95, 0.25},
                                                 {0.85, 0.20},
                                                 {0.7, 0.15},
                                                 {0.5, 0.12},
                                                 {0.35, 0.08},
                                                 {0.22, 0.06},
                                                 {0.13, 0.05},
                                                 {0.07, 0.04},
                                                 {0.03, 0.03},
                                                 {0.01, 0.02}}};

double psi(double lambda) { return -std::log1p(-lambda) - lambda; }

constexpr double kNever = std::numeric_limits<double>::infinity();

}  // namespace

void SumBound::add(double x, double unit) {
  KEISEI_CHECK(x <= 1, "{} is above the bound that the sequence assumes", x);
  KEISEI_CHECK(unit > 0, "a unit of {}", unit);
  first_unit_ = count_ == 0 ? unit : first_unit_;
  ++count_;
  sum_ += unit * x;
  units_ += unit;
  for (std::size_t i = 0; i < kComponents; ++i) {
    const double scaled = kMixture[i].lambda * (unit / first_unit_);
    variance_[i] += scaled < 1 ? psi(scaled) * x * x : kNever;
  }
  slack_.reset();
}

double SumBound::slack() const {
  if (count_ == 0) {
    return 0;
  }
  if (!slack_) {
    slack_ = std::min(crossing(), units_ - sum_);
  }
  return *slack_;
}

/// At a sum of u (E[x] - x) of `excess`, in first units.
double SumBound::log_mixture(double excess) const {
  std::array<double, kComponents> terms{};
  for (std::size_t i = 0; i < terms.size(); ++i) {
    terms[i] = std::log(kMixture[i].weight) + kMixture[i].lambda * excess - variance_[i];
  }
  const double top = std::ranges::max(terms);
  double sum = 0;
  for (const double term : terms) {
    sum += std::exp(term - top);
  }
  return top + std::log(sum);
}

/// Where one component alone has crossed; the mixture crosses no later than the best of them.
double SumBound::crossing_of_best(double threshold) const {
  double best = kNever;
  for (std::size_t i = 0; i < kComponents; ++i) {
    const Component& c = kMixture[i];
    best = std::min(best, (threshold - std::log(c.weight) + variance_[i]) / c.lambda);
  }
  return best;
}

double SumBound::crossing() const {
  const double threshold = -std::log(alpha_);
  double low = 0;
  double high = crossing_of_best(threshold);
  if (high == kNever) {
    return high;
  }
  for (int step = 0; step < 60; ++step) {
    const double middle = (low + high) / 2;
    (log_mixture(middle) >= threshold ? high : low) = middle;
  }
  return high * first_unit_;
}

}  // namespace keisei::guard
