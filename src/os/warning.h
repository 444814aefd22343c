#pragma once

#include <optional>

namespace keisei::os {

/// What the guard says to a worker that nears a limit; the limit itself ends the worker.
enum class Warning : char {
  Memory = 'm',
  Timeout = 't',
};

/// Where a program of the worker profile hears it: the read end of a pipe, nonblocking, one byte
/// per warning, each at most once. Below kHandshakeFd.
inline constexpr int kWarningFd = 199;

/// The next warning that came; nothing while there is none, or where nobody handed in the
/// descriptor. Does not block.
[[nodiscard]] std::optional<Warning> inherited_warning();

}  // namespace keisei::os
