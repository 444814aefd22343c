#include "guard/impact_controls.h"

namespace keisei::guard {
namespace {

constexpr std::int64_t kNegativeBlocks = 100;
constexpr std::int64_t kNegativeFirst = 20;  // blocks of the negative control before the positive
constexpr double kLoadAfter = 120;           // seconds of training
constexpr double kAmongOthersAfter = 300;    // the same
constexpr double kPlenty = 2.5;              // seconds of credit
constexpr std::int64_t kFirstBlocks = 6;     // of the load, as fast as there is time for them
constexpr double kBetweenOthers = 60;        // seconds of training

}  // namespace

bool wants_negative_control(const TrainingImpact& impact) {
  return impact.has_reference() && impact.negative_blocks() < kNegativeBlocks;
}

LoadTurn load_turn(const TrainingImpact& impact, std::optional<double> last_block, double credit) {
  if (impact.negative_blocks() < kNegativeFirst || impact.training_s() < kLoadAfter ||
      !impact.wants_load()) {
    return LoadTurn::Never;
  }
  const PositiveControl control = impact.positive_control();
  const bool hurries = control.blocks < kFirstBlocks || control.is_suspicious();
  const bool early = !hurries && last_block && impact.training_s() - *last_block < kBetweenOthers;
  const bool scarce = impact.training_s() < kAmongOthersAfter && credit < kPlenty;
  return early || scarce ? LoadTurn::InALull : LoadTurn::AmongOthers;
}

}  // namespace keisei::guard
