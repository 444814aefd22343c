#pragma once

#include "app/command.h"

namespace keisei::app {

/// `keisei train`: starts or finds the learner, and supervises it.
void add_train_command(CLI::App& root, CommandAction& chosen);

}  // namespace keisei::app
