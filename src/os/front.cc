#include "os/front.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <thread>

#include "os/terminal.h"

namespace keisei::os {
namespace {

constexpr std::array kPassedOn = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGUSR1,
                                  SIGUSR2, SIGTSTP, SIGCONT, SIGWINCH};
constexpr int kGuardLost = 125;       // what the command line contract says of a guard that failed
constexpr int kAbandonedTries = 200;  // of 5 ms: a killed tree gives its terminal back by then

sigset_t passed_on() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : kPassedOn) {
    sigaddset(&signals, signal);
  }
  return signals;
}

/// The guard was killed and could not put the terminal in order itself.
void restore_terminal(const Terminal& terminal, const std::optional<termios>& modes) {
  for (int attempt = 0; attempt < kAbandonedTries; ++attempt) {
    if (terminal.take_if_abandoned(getpgrp())) {
      if (modes) {
        terminal.set_modes(*modes);
      }
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

/// Nothing while it runs.
std::optional<int> take_status(pid_t guard) {
  int status = 0;
  const pid_t got = waitpid(guard, &status, WNOHANG | WUNTRACED);
  if (got == guard && WIFSTOPPED(status)) {
    kill(guard, SIGCONT);  // it is the one that must not stop
    return std::nullopt;
  }
  return got == guard ? std::optional(status) : std::nullopt;
}

void pass_on(pid_t guard, const siginfo_t& info) {
  sigval value = {};
  value.sival_int =
      static_cast<int>(info.si_code == SI_KERNEL ? SignalOrigin::Terminal : SignalOrigin::Somebody);
  sigqueue(guard, info.si_signo, value);
}

int stand_in_front(pid_t guard) {
  const std::optional<Terminal> terminal = Terminal::controlling();
  const std::optional<termios> modes = terminal ? terminal->modes() : std::nullopt;
  sigset_t signals = passed_on();
  sigaddset(&signals, SIGCHLD);
  while (true) {
    siginfo_t info = {};
    if (sigwaitinfo(&signals, &info) < 0) {
      continue;  // stopped and continued
    }
    if (info.si_signo != SIGCHLD) {
      pass_on(guard, info);
    } else if (const std::optional<int> status = take_status(guard)) {
      if (WIFEXITED(*status)) {
        return WEXITSTATUS(*status);
      }
      if (terminal) {
        restore_terminal(*terminal, modes);
      }
      dprintf(STDERR_FILENO,
              "keisei guard: the guard was ended by signal %d, its command with it\n",
              WTERMSIG(*status));
      return kGuardLost;
    }
  }
}

/// In a group of its own no signal of the terminal or of the shell reaches it directly.
void stand_behind(pid_t front) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != front) {
    _exit(kGuardLost);
  }
}

}  // namespace

void Front::stop() const { kill(pid, SIGSTOP); }

void Front::go_on() const { kill(pid, SIGCONT); }

Result<Split> split_behind_front() {
  sigset_t signals = passed_on();
  sigaddset(&signals, SIGCHLD);
  sigset_t before;
  sigprocmask(SIG_BLOCK, &signals, &before);
  signal(SIGCHLD, SIG_DFL);  // ignored, it would reap the guard's status away
  const Front front{.pid = getpid(), .group = getpgrp()};
  const pid_t guard = fork();
  if (guard < 0) {
    return fail_errno("starting the guard behind its terminal");
  }
  if (guard > 0) {
    return Split{.exit_code = stand_in_front(guard), .front = std::nullopt};
  }
  stand_behind(front.pid);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_UNBLOCK, &child, nullptr);
  return Split{.exit_code = std::nullopt, .front = front};
}

Result<UniqueFd> signal_descriptor() {
  const sigset_t signals = passed_on();
  UniqueFd fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  sigset_t blocked = signals;
  sigaddset(&blocked, SIGTTIN);
  sigaddset(&blocked, SIGTTOU);  // a line on stderr stops nobody
  if (!fd || sigprocmask(SIG_BLOCK, &blocked, nullptr) != 0) {
    return fail_errno("taking over the signals");
  }
  return fd;
}

std::optional<PassedSignal> next_signal(int descriptor) {
  signalfd_siginfo info = {};
  if (read(descriptor, &info, sizeof info) != ssize_t{sizeof info}) {
    return std::nullopt;
  }
  const bool passed =
      info.ssi_code == SI_QUEUE && info.ssi_int == static_cast<int>(SignalOrigin::Terminal);
  return PassedSignal{.signal = static_cast<int>(info.ssi_signo),
                      .origin = passed || info.ssi_code == SI_KERNEL ? SignalOrigin::Terminal
                                                                     : SignalOrigin::Somebody};
}

}  // namespace keisei::os
