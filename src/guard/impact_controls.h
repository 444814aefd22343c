#pragma once

#include <optional>

#include "guard/training_impact.h"

namespace keisei::guard {

/// Whether the negative control wants more blocks.
[[nodiscard]] bool wants_negative_control(const TrainingImpact& impact);

/// When a block of the positive control's load may begin.
enum class LoadTurn {
  Never,        ///< not yet, or it has seen what there is to see
  InALull,      ///< while nobody asks: it is no reason to keep an evaluation waiting
  AmongOthers,  ///< there was no lull: also one between two evaluations, while the next one waits
};
/// Before there was time enough for a lull, only where the credit (seconds) is more than
/// evaluations need. `last_block`: when the one before began, in seconds of training. After the
/// first few they come a minute apart, for evaluations have better use for that time; but where the
/// trainer's CPU time tells of a loss that its progress does not, as fast as before.
[[nodiscard]] LoadTurn load_turn(const TrainingImpact& impact, std::optional<double> last_block,
                                 double credit);

}  // namespace keisei::guard
