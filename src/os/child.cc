#include "os/child.h"

#include <signal.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "os/spawn.h"

namespace keisei::os {

std::string to_string(const ExitStatus& status) {
  if (status.signal) {
    return fmt::format("signal {} ({})", *status.signal, strsignal(*status.signal));
  }
  return status.code ? fmt::format("exit code {}", *status.code) : "no exit status";
}

Result<Child> Child::spawn(const ChildSpec& spec) {
  KEISEI_CHECK(!spec.argv.empty(), "a child needs a program");
  KEISEI_TRY(pid, os::spawn({.path = spec.argv.front(),
                             .argv = spec.argv,
                             .environment = spec.environment,
                             .fds = spec.fds,
                             .own_process_group = spec.own_process_group,
                             .blocked = spec.blocked}));
  Result<UniqueFd> pidfd = open_pidfd(pid);
  if (!pidfd) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return tl::unexpected(std::move(pidfd).error());
  }
  return Child(pid, std::move(*pidfd), spec.own_process_group);
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      own_group_(other.own_group_),
      pidfd_(std::move(other.pidfd_)),
      status_(other.status_) {}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    end();
    pid_ = std::exchange(other.pid_, -1);
    own_group_ = other.own_group_;
    pidfd_ = std::move(other.pidfd_);
    status_ = other.status_;
  }
  return *this;
}

Child::~Child() { end(); }

void Child::end() {
  if (pid_ > 0 && !status_) {
    signal(SIGKILL);
    (void)wait();
  }
}

void Child::signal(int number) const {
  if (pid_ > 0 && !status_) {  // not reaped, so the number is still ours
    kill(own_group_ ? -pid_ : pid_, number);
  }
}

ExitStatus Child::wait() {
  KEISEI_CHECK(pid_ > 0, "waiting for a child that was moved away");
  int word = 0;
  while (!status_) {
    if (waitpid(pid_, &word, 0) == pid_) {
      status_ = exit_status(word);
    } else {
      KEISEI_CHECK(errno == EINTR, "waitpid({}): {}", pid_, strerror(errno));
    }
  }
  return *status_;
}

std::optional<ExitStatus> Child::poll() {
  int word = 0;
  if (!status_ && waitpid(pid_, &word, WNOHANG) == pid_) {
    status_ = exit_status(word);
  }
  return status_;
}

}  // namespace keisei::os
