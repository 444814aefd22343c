#pragma once

#include "app/command.h"

namespace keisei::app {

void add_perft_command(CLI::App& root, CommandAction& chosen);

}  // namespace keisei::app
