#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace keisei::os {

/// One of our own programs: in $KEISEI_LIBEXEC when that is set, else beside the running
/// executable. Fails where it is not there or not executable.
[[nodiscard]] Result<std::filesystem::path> find_program(std::string_view name);

/// Opens /dev/null for each of 0, 1 and 2 that is closed, so that no other file is ever opened
/// there and taken for a standard stream. First thing in main; does nothing where /dev/null cannot
/// be opened.
void open_missing_standard_descriptors();

/// The descriptors above 2 that this process was given by whoever started it, ascending: those that
/// stay open over an exec. All that it opens itself do not. Fails where /proc does not tell.
[[nodiscard]] Result<std::vector<int>> inherited_descriptors();

/// This process's environment, as NAME=value.
[[nodiscard]] std::vector<std::string> current_environment();

}  // namespace keisei::os
