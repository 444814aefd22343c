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

/// False where the file is not there or refuses: the guard sees what holds from the capabilities.
bool write_own(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  const bool written = fd >= 0 && write(fd, text, strlen(text)) > 0;
  if (fd >= 0) {
    close(fd);
  }
  return written;
}

void enter_session_and_class(const JailSpec& spec) {
  if (spec.own_session != 0 && setsid() < 0) {
    die("setsid");
  }
  if (spec.slack != 0) {
    // In its own session SCHED_IDLE competes only with itself: the session's weight does the rest.
    write_own("/proc/self/autogroup", "19");
    const sched_param none = {};
    if (sched_setscheduler(0, SCHED_IDLE, &none) != 0) {
      die("sched_setscheduler");
    }
  }
  if (!write_own("/proc/self/oom_score_adj", "1000")) {
    die("oom_score_adj");
  }
}

int make_handshake(const Setup& setup) {
  HandshakeRecord record;
  record.memory_bytes = setup.spec.memory_bytes;
  record.timeout_ns = setup.spec.timeout_ns;
  record.data_bytes = setup.spec.data_bytes;
  record.pid_namespace = setup.containment == Containment::Sweep ? 0 : 1;
  const int fd = memfd_create("keisei-jail", MFD_ALLOW_SEALING | MFD_CLOEXEC);
  if (fd < 0 || write(fd, &record, sizeof record) != ssize_t{sizeof record} ||
      fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
    die("handshake");
  }
  return fd;
}

/// Leaves 0, 1, 2, the payload at its numbers and the handshake; all else closes at exec.
void arrange_descriptors(const Setup& setup) {
  const int handshake = setup.spec.worker_profile != 0 ? make_handshake(setup) : -1;
  if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
    die("close_range");
  }
  for (int i = 0; i < setup.spec.payload_count; ++i) {
    if (dup2(kJailFirstPayloadFd + i, setup.spec.child_fds[i]) < 0) {
      die("dup2");
    }
  }
  if (handshake >= 0 && dup2(handshake, kHandshakeFd) < 0) {
    die("dup2 of the handshake");
  }
}

void limit_resources(const Setup& setup) {
  const JailSpec& spec = setup.spec;
  limit(RLIMIT_CORE, 0, "RLIMIT_CORE");
  limit(RLIMIT_FSIZE, spec.file_bytes, "RLIMIT_FSIZE");
  limit(RLIMIT_NOFILE, spec.open_files, "RLIMIT_NOFILE");
  limit(RLIMIT_STACK, spec.stack_bytes, "RLIMIT_STACK");
  if (setup.containment == Containment::UserPidNamespace) {
    limit(RLIMIT_NPROC, spec.tasks, "RLIMIT_NPROC");  // elsewhere it counts the user's other ones
  }
  limit(RLIMIT_DATA, spec.data_bytes, "RLIMIT_DATA");
}

}  // namespace

void become_command(const Setup& setup) {
  if (setup.containment == Containment::Sweep) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
  }
  enter_session_and_class(setup.spec);
  arrange_descriptors(setup);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    die("no_new_privs");
  }
  if (setup.spec.worker_profile != 0) {
    apply_worker_policy();
  }
  limit_resources(setup);
  execvp(setup.argv[0], setup.argv);
  JailMessage message;
  message.kind = JailMessageKind::ExecFailed;
  message.value = errno;
  (void)!send(kJailControlFd, &message, sizeof message, MSG_NOSIGNAL);
  _exit(127);
}

}  // namespace keisei::os::jail
