#pragma once

#include "app/command.h"

namespace keisei::app {

void add_convert_command(CLI::App& root, CommandAction& chosen);

}  // namespace keisei::app
