#include "os/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

namespace keisei::os {
namespace {

/// Who changes a terminal from the background is stopped by SIGTTOU, unless it blocks it.
class BlockedTtou {
 public:
  BlockedTtou() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &signals, &before_);
  }
  ~BlockedTtou() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedTtou(const BlockedTtou&) = delete;
  BlockedTtou& operator=(const BlockedTtou&) = delete;

 private:
  sigset_t before_ = {};
};

}  // namespace

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
  const BlockedTtou blocked;
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
  const BlockedTtou blocked;
  tcsetattr(fd_.get(), TCSANOW, &modes);
}

}  // namespace keisei::os
