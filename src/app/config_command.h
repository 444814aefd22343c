#pragma once

#include "app/command.h"

namespace keisei::app {

void add_config_command(CLI::App& root, CommandAction& chosen);

}  // namespace keisei::app
