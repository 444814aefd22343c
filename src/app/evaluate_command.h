#pragma once

#include "app/command.h"

namespace keisei::app {

/// `keisei evaluate`: one evaluation of a checkpoint, down the same road as those beside training.
void add_evaluate_command(CLI::App& root, CommandAction& chosen);

}  // namespace keisei::app
