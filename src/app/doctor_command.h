#pragma once

#include "app/command.h"

namespace keisei::app {

void add_doctor_command(CLI::App& root, CommandAction& chosen);

}  // namespace keisei::app
