#include "guard/impact_controls.h"

namespace keisei::guard {
namespace {

constexpr std::int64_t kNegativeBlocks = 100;
constexpr std::int64_t kNegativeFirst = 20;  // blocks of the negative control before the positive
constexpr double kLoadAfter = 120;           // seconds of training
constexpr double kAmongOthersAfter = 300;    // the same

}  // namespace

bool wants_negative_control(const TrainingImpact& impact) {
  return impact.has_reference() && impact.negative_blocks() < kNegativeBlocks;
}

LoadTurn load_turn(const TrainingImpact& impact) {
  if (impact.negative_blocks() < kNegativeFirst || impact.training_s() < kLoadAfter ||
      !impact.wants_load()) {
    return LoadTurn::Never;
  }
  return impact.training_s() < kAmongOthersAfter ? LoadTurn::InALull : LoadTurn::AmongOthers;
}

}  // namespace keisei::guard
