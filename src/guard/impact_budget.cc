#include "guard/impact_budget.h"

namespace keisei::guard {
namespace {

constexpr double kFirst = 0.2;  // of the limit, beside kSteady, until it has come to kCapacity

}  // namespace

double ImpactBudget::earned(double training_s) const {
  return kSteady * limit_ * training_s + std::min(kCapacity, kFirst * limit_ * training_s);
}

void ImpactBudget::update(double training_s, double charged_s) {
  const double earned_now = earned(training_s);
  credit_ = std::min(capacity_, credit_ + (earned_now - earned_) - (charged_s - charged_));
  earned_ = earned_now;
  charged_ = charged_s;
}

double ImpactBudget::seconds_until(double credit) const {
  return std::max(0.0, std::min(credit, capacity_) - credit_) / (kSteady * limit_);
}

}  // namespace keisei::guard
