#pragma once

#include "guard/run_control.h"
#include "guard/tree_share.h"
#include "os/launcher.h"

namespace keisei::guard {

/// Does with the tree in `jail` what the caller has asked for since the last time: signals, the
/// terminal. What the caller stops stands still from then on for nobody else's sake, and what it
/// lets go on may stand still for the training all the same. Cancelling is the run's own.
void carry_out_orders(RunControl& control, os::Jail& jail, TreeShare& share);

}  // namespace keisei::guard
