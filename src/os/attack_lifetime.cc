// Attacks on the time limit, and attempts to outlive the run.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <new>

#include "os/attack_internal.h"

namespace keisei::os::attack {
namespace {

constexpr int kDaemons = 5;
constexpr int64_t kBirthMs = 5000;  // for the daemons of a busy machine to be born
constexpr int64_t kSettleMs = 20;   // for what was provoked to happen
constexpr int kReadyPatienceMs = 10'000;
constexpr int kDeathPatienceMs = 2000;

void be_deaf() {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, nullptr);
}

/// One process that tries to be nobody's: double fork, own session, deaf, environment cleared. Only
/// its arguments still tell whose it is.
void leave_daemon(std::atomic<int>& born) {
  const pid_t child = fork_bounded();
  if (child != 0) {
    if (child > 0) {
      waitpid(child, nullptr, 0);
    }
    return;
  }
  setsid();
  const pid_t daemon = fork_bounded();
  if (daemon != 0) {
    _exit(0);
  }
  setsid();
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE}) {
    ::signal(signal, SIG_IGN);
  }
  clearenv();
  born.fetch_add(1);
  while (true) {
    pause();
  }
}

/// False where they could not all be born.
bool leave_daemons() {
  void* page = shared_page();
  if (page == MAP_FAILED) {
    return false;
  }
  auto* born = new (page) std::atomic<int>(0);
  for (int i = 0; i < kDaemons; ++i) {
    leave_daemon(*born);
  }
  for (const int64_t start = now_ns(); born->load() < kDaemons; pause_ms(1)) {
    if (now_ns() - start > kBirthMs * 1'000'000) {
      return false;
    }
  }
  return true;
}

}  // namespace

/// Deaf to every signal that a process may be deaf to, for so many milliseconds.
int spin(const Arguments& arguments) {
  be_deaf();
  const int64_t end = now_ns() + arguments.number(0) * 1'000'000;
  while (now_ns() < end) {
  }
  return say(kAttackBrokeThrough, "it ran for %lld ms",
             static_cast<long long>(arguments.number(0)));
}

/// Stops itself, so that only the wall clock moves; wakes after so many milliseconds.
int stop(const Arguments& arguments) {
  const pid_t self = getpid();
  const pid_t alarm_clock = fork_bounded();
  if (alarm_clock < 0) {
    return say(kAttackNotMade, "fork: %s", strerror(errno));
  }
  if (alarm_clock == 0) {
    pause_ms(arguments.number(0));
    kill(self, SIGCONT);
    _exit(0);
  }
  raise(SIGSTOP);
  return say(kAttackBrokeThrough, "it slept for %lld ms",
             static_cast<long long>(arguments.number(0)));
}

/// So many processes (second argument) compute for so many milliseconds; all are waited for.
int burn(const Arguments& arguments) {
  const int64_t end = now_ns() + arguments.number(0) * 1'000'000;
  const int64_t processes = arguments.number(1);
  for (int64_t i = 1; i < processes; ++i) {
    const pid_t child = fork_bounded();
    if (child < 0) {
      return say(kAttackNotMade, "fork: %s", strerror(errno));
    }
    if (child == 0) {
      break;
    }
  }
  while (now_ns() < end) {
  }
  while (wait(nullptr) > 0) {
  }
  return kAttackHeld;
}

int daemons(const Arguments&) {
  if (!leave_daemons()) {
    return say(kAttackNotMade, "its %d daemons were not born", kDaemons);
  }
  return say(kAttackHeld, "left %d daemons", kDaemons);
}

/// Kills what holds the tree together, then sees whether it still lives.
int kill_init(const Arguments&) {
  const pid_t init = getppid();
  if (!leave_daemons()) {
    return say(kAttackNotMade, "its %d daemons were not born", kDaemons);
  }
  const bool sent = init > 0 && kill(init, SIGKILL) == 0;
  const int error = errno;
  pause_ms(kSettleMs);
  if (getppid() != init) {
    return say(kAttackBrokeThrough, "its init is gone");
  }
  return say(kAttackHeld, "left %d daemons; killing its init %s", kDaemons,
             sent ? "had no effect" : strerror(error));
}

/// Daemons that hold stdout open; says so there.
int linger(const Arguments&) {
  if (!leave_daemons()) {
    return kAttackNotMade;
  }
  dprintf(STDOUT_FILENO, "r");
  while (true) {
    pause();
  }
}

/// Starts `keisei guard` (first argument) over lingering daemons, kills it with SIGKILL and waits
/// until nobody holds their pipe any more. The second argument is the memory limit to give it.
int kill_supervisor(const Arguments& arguments) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return say(kAttackNotMade, "pipe: %s", strerror(errno));
  }
  const pid_t guard = fork_bounded();
  if (guard == 0) {
    dup2(ends[1], STDOUT_FILENO);
    execl(arguments.text(0), "keisei", "guard", "--timeout", "15s", "--memory", arguments.text(1),
          "--", arguments.self, "linger", arguments.cookie, static_cast<char*>(nullptr));
    _exit(kAttackNotMade);
  }
  close(ends[1]);
  pollfd pipe = {.fd = ends[0], .events = POLLIN, .revents = 0};
  char ready = 0;
  if (guard < 0 || poll(&pipe, 1, kReadyPatienceMs) != 1 || read(ends[0], &ready, 1) != 1) {
    return say(kAttackNotMade, "%s guard did not start its command", arguments.text(0));
  }
  const int64_t killed = now_ns();
  kill(guard, SIGKILL);
  waitpid(guard, nullptr, 0);
  const bool gone = poll(&pipe, 1, kDeathPatienceMs) == 1 && read(ends[0], &ready, 1) == 0;
  const double ms = static_cast<double>(now_ns() - killed) * 1e-6;
  return gone ? say(kAttackHeld, "the last of %d daemons was dead %.1f ms later", kDaemons, ms)
              : say(kAttackBrokeThrough, "somebody was alive %.0f ms later", ms);
}

}  // namespace keisei::os::attack
