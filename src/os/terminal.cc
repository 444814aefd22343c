#include "os/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "os/blocked_signals.h"

namespace keisei::os {

std::optional<Terminal> Terminal::controlling() {
  UniqueFd fd(open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!fd) {
    return std::nullopt;
  }
  return Terminal(std::move(fd));
}

std::optional<pid_t> Terminal::foreground() const {
  const pid_t group = tcgetpgrp(fd_.get());
  return group > 0 ? std::optional(group) : std::nullopt;
}

void Terminal::set_foreground(pid_t group) const {
  const BlockedSignals blocked{SIGTTOU};  // it stops who does this from the background
  tcsetpgrp(fd_.get(), group);
}

bool Terminal::take_if_abandoned(pid_t group) const {
  const std::optional<pid_t> now = foreground();
  if (now == group) {
    return true;
  }
  if (now && (kill(-*now, 0) == 0 || errno != ESRCH)) {
    return false;
  }
  set_foreground(group);
  return true;
}

std::optional<termios> Terminal::modes() const {
  termios modes = {};
  return tcgetattr(fd_.get(), &modes) == 0 ? std::optional(modes) : std::nullopt;
}

void Terminal::set_modes(const termios& modes) const {
  const BlockedSignals blocked{SIGTTOU};  // it stops who does this from the background
  tcsetattr(fd_.get(), TCSANOW, &modes);
}

}  // namespace keisei::os
