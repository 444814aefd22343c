// The inner half of keisei-jail: from a plain fork of the init to the command.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "os/jail_internal.h"

namespace keisei::os::jail {
namespace {

void limit(__rlimit_resource resource, std::uint64_t value, const char* name) {
  if (value == kNoLimit) {
    return;
  }
  rlimit current = {};
  if (getrlimit(resource, &current) != 0) {
    die(name);
  }
  const rlim_t wanted = current.rlim_max < value ? current.rlim_max : value;
  const rlimit lowered = {.rlim_cur = wanted, .rlim_max = wanted};
  if (setrlimit(resource, &lowered) != 0) {
    die(name);
  }
}

/// False where the file is not there or refuses.
bool write_own(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) {
    return false;
  }
  const bool written = write(fd, text, strlen(text)) > 0;
  const int error = errno;
  close(fd);
  errno = error;
  return written;
}

/// Of accounts without privilege the kernel takes one a tenth of a second, on the whole host.
bool lower_session_weight() {
  constexpr int kTries = 20;
  constexpr timespec kBetween = {.tv_sec = 0, .tv_nsec = 10'000'000};
  for (int i = 0; i < kTries; ++i) {
    if (write_own("/proc/self/autogroup", "19")) {
      return true;
    }
    if (errno != EAGAIN) {
      return false;
    }
    nanosleep(&kBetween, nullptr);
  }
  return false;
}

void enter_session(JailSession session) {
  if (session == JailSession::Own) {
    if (setsid() < 0) {
      die("setsid");
    }
    return;
  }
  if (setpgid(0, 0) != 0) {
    die("setpgid");
  }
  if (session == JailSession::InheritedForeground) {
    take_terminal(getpid());
  }
}

std::uint32_t enter_idle_class(const JailSpec& spec) {
  std::uint32_t held = 0;
  // In its own session SCHED_IDLE competes only with itself: the session's weight does the rest. A
  // foreign session's weight is not ours to lower.
  if (spec.session == JailSession::Own && (spec.without & mechanism::kIdleSession) == 0 &&
      lower_session_weight()) {
    held |= mechanism::kIdleSession;
  }
  const sched_param none = {};
  if (sched_setscheduler(0, SCHED_IDLE, &none) != 0) {
    die("sched_setscheduler");
  }
  return held | mechanism::kIdleClass;
}

std::uint32_t enter_class(const JailSpec& spec) {
  const std::uint32_t held = spec.slack != 0 ? enter_idle_class(spec) : 0;
  if (!write_own("/proc/self/oom_score_adj", "1000")) {
    die("oom_score_adj");
  }
  return held;
}

void make_handshake() {
  const int fd = memfd_create("keisei-jail", MFD_ALLOW_SEALING | MFD_CLOEXEC);
  if (fd < 0 || dup2(fd, kHandshakeFd) < 0) {
    die("handshake");
  }
}

/// Last, when it is known what holds.
void seal_handshake(const Setup& setup, std::uint32_t held) {
  HandshakeRecord record;
  record.memory_bytes = setup.spec.memory_bytes;
  record.timeout_ns = setup.spec.timeout_ns;
  record.data_bytes = setup.spec.data_bytes;
  record.pid_namespace = setup.containment == Containment::Sweep ? 0 : 1;
  record.mechanisms = held;
  if (write(kHandshakeFd, &record, sizeof record) != ssize_t{sizeof record} ||
      fcntl(kHandshakeFd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) !=
          0) {
    die("handshake");
  }
}

/// Leaves 0, 1, 2, the payload at its numbers and the handshake; all else closes at exec.
void arrange_descriptors(const Setup& setup) {
  if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
    die("close_range");
  }
  if (setup.spec.worker_profile != 0) {
    make_handshake();  // before the payload, which may take the number that memfd_create gave
  }
  for (int i = 0; i < setup.spec.payload_count; ++i) {
    if (dup2(kJailFirstPayloadFd + i, setup.spec.child_fds[i]) < 0) {
      die("dup2");
    }
  }
}

constexpr std::uint64_t kWorkerTimers = 256;  // and queued signals; the account has them once

std::uint32_t limit_resources(const Setup& setup) {
  const JailSpec& spec = setup.spec;
  std::uint32_t held = 0;
  limit(RLIMIT_CORE, 0, "RLIMIT_CORE");
  limit(RLIMIT_FSIZE, spec.file_bytes, "RLIMIT_FSIZE");
  limit(RLIMIT_NOFILE, spec.open_files, "RLIMIT_NOFILE");
  limit(RLIMIT_STACK, spec.stack_bytes, "RLIMIT_STACK");
  if (spec.worker_profile != 0) {
    limit(RLIMIT_SIGPENDING, kWorkerTimers, "RLIMIT_SIGPENDING");
  }
  if (setup.containment == Containment::UserPidNamespace && spec.tasks != kNoLimit) {
    limit(RLIMIT_NPROC, spec.tasks, "RLIMIT_NPROC");  // elsewhere it counts the user's other ones
    held |= geteuid() != 0 ? mechanism::kTaskLimit : 0;  // root is not held by it
  }
  limit(RLIMIT_DATA, spec.data_bytes, "RLIMIT_DATA");
  return held;
}

/// The worker profile: returns what holds.
LandlockHold enter_worker_profile(const Setup& setup, std::uint32_t namespaces) {
  LandlockHold hold;
  if ((setup.spec.without & mechanism::kLandlock) != mechanism::kLandlock) {
    hold = enter_landlock(setup, namespaces);
  }
  hold.mechanisms |= enter_worker_policy(setup);
  return hold;
}

void tell_holds(std::uint32_t held, int landlock_abi) {
  JailMessage message;
  message.kind = JailMessageKind::Holds;
  message.value = static_cast<std::int32_t>(held);
  message.detail = landlock_abi;
  if (send(kJailControlFd, &message, sizeof message, MSG_NOSIGNAL) != ssize_t{sizeof message}) {
    die("telling the guard");
  }
}

}  // namespace

void take_terminal(pid_t group) {
  const int terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal >= 0) {
    tcsetpgrp(terminal, group);
    close(terminal);
  }
}

void become_command(const Setup& setup) {
  if (setup.containment == Containment::Sweep) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
  }
  enter_session(setup.spec.session);
  sigprocmask(SIG_SETMASK, &setup.signals, nullptr);
  const bool worker = setup.spec.worker_profile != 0;
  std::uint32_t held = setup.held | enter_class(setup.spec);
  arrange_descriptors(setup);
  held |= worker ? enter_namespaces(setup) : enter_command_mounts(setup);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    die("no_new_privs");
  }
  const LandlockHold shut = worker ? enter_worker_profile(setup, held) : LandlockHold{};
  held |= shut.mechanisms | limit_resources(setup);
  if (worker) {
    seal_handshake(setup, held);
  }
  tell_holds(held, shut.abi);
  execvp(setup.argv[0], setup.argv);
  JailMessage message;
  message.kind = JailMessageKind::ExecFailed;
  message.value = errno;
  (void)!send(kJailControlFd, &message, sizeof message, MSG_NOSIGNAL);
  _exit(127);
}

}  // namespace keisei::os::jail
