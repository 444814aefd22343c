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

/// Of the mixture at a sum of E[x] - x of `excess`.
double log_mixture(double excess, double squares) {
  std::array<double, kMixture.size()> terms{};
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const Component& c = kMixture[i];
    terms[i] = std::log(c.weight) + c.lambda * excess - psi(c.lambda) * squares;
  }
  const double top = std::ranges::max(terms);
  double sum = 0;
  for (const double term : terms) {
    sum += std::exp(term - top);
  }
  return top + std::log(sum);
}

/// Where one component alone has crossed; the mixture crosses no later than the best of them.
double crossing_of_best(double threshold, double squares) {
  double best = std::numeric_limits<double>::infinity();
  for (const Component& c : kMixture) {
    best = std::min(best, (threshold - std::log(c.weight) + psi(c.lambda) * squares) / c.lambda);
  }
  return best;
}

}  // namespace

void SumBound::add(double x) {
  KEISEI_CHECK(x <= 1, "{} is above the bound that the sequence assumes", x);
  ++count_;
  sum_ += x;
  squares_ += x * x;
  slack_.reset();
}

double SumBound::slack() const {
  if (count_ == 0) {
    return 0;
  }
  if (!slack_) {
    slack_ = crossing();
  }
  return *slack_;
}

double SumBound::crossing() const {
  const double threshold = -std::log(alpha_);
  double low = 0;
  double high = crossing_of_best(threshold, squares_);
  for (int step = 0; step < 60; ++step) {
    const double middle = (low + high) / 2;
    (log_mixture(middle, squares_) >= threshold ? high : low) = middle;
  }
  return high;
}

}  // namespace keisei::guard
