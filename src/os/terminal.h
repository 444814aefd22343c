#pragma once

#include <sys/types.h>
#include <termios.h>

#include <optional>

#include "base/unique_fd.h"

namespace keisei::os {

/// The controlling terminal of this process's session. Nothing here ever stops the caller, also
/// not in a background group (SIGTTOU is blocked meanwhile). Every call does nothing where the
/// terminal has gone.
class Terminal {
 public:
  /// Nothing where this process has none.
  [[nodiscard]] static std::optional<Terminal> controlling();

  /// The foreground process group; nothing where there is none.
  [[nodiscard]] std::optional<pid_t> foreground() const;
  void set_foreground(pid_t group) const;
  /// For the end of those who had it: `group` gets the terminal where no process is left in its
  /// foreground group. False where somebody living has it.
  [[nodiscard]] bool take_if_abandoned(pid_t group) const;

  [[nodiscard]] std::optional<termios> modes() const;
  void set_modes(const termios& modes) const;

 private:
  explicit Terminal(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

}  // namespace keisei::os
