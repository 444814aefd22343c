#include "os/warning.h"

#include <unistd.h>

namespace keisei::os {

std::optional<Warning> inherited_warning() {
  char byte = 0;
  if (read(kWarningFd, &byte, 1) != 1) {
    return std::nullopt;
  }
  const auto warning = static_cast<Warning>(byte);
  const bool known = warning == Warning::Memory || warning == Warning::Timeout;
  return known ? std::optional(warning) : std::nullopt;
}

}  // namespace keisei::os
