#include "guard/impact_controls.h"

namespace keisei::guard {
namespace {

constexpr std::int64_t kNegativeBlocks = 100;
constexpr std::int64_t kNegativeFirst = 20;  // blocks of the negative control before the positive
constexpr double kLoadAfter = 120;           // seconds of training
constexpr double kLoadInsists = 300;         // the same

}  // namespace

bool wants_negative_control(const TrainingImpact& impact) {
  return impact.has_reference() && impact.estimate().control_blocks < kNegativeBlocks;
}

LoadTurn load_turn(const TrainingImpact& impact) {
  const ImpactEstimate known = impact.estimate();
  if (known.control_blocks < kNegativeFirst || known.training_s < kLoadAfter ||
      !impact.wants_load()) {
    return LoadTurn::Never;
  }
  return known.training_s < kLoadInsists ? LoadTurn::InALull : LoadTurn::Insists;
}

}  // namespace keisei::guard
