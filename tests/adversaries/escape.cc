// escape: tries what the worker profile forbids. Each attempt has to be refused with the errno that
// its line names, which without the profile it would not get. The exit code is the number of the
// first attempt that was not, 0 where all were.
#include <fcntl.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "attempts.h"

namespace {

constexpr long kHighBit = 1L << 32;  // the kernel drops it from an int

/// The command is leader of its session already; a child could leave it.
long new_session() {
  const pid_t child = fork();
  if (child == 0) {
    _exit(setsid() < 0 ? errno : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  errno = WEXITSTATUS(status);
  return errno == 0 ? 0 : -1;
}

/// A child in a new namespace, which ends at once.
long clone_into(unsigned long flags) {
  const long child = syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, 0UL);
  if (child == 0) {
    _exit(0);
  }
  return child;
}

long raise_limit() {
  const rlimit more = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  return setrlimit(RLIMIT_DATA, &more);
}

long make_pair() {
  int pair[2];
  return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair);
}

// What would fail for other reasons too is asked in a way that gives another errno then.
const adversary::Attempt kAttempts[] = {
    {"setsid", new_session},
    {"PR_SET_DUMPABLE", [] { return long{prctl(PR_SET_DUMPABLE, 0)}; }},
    {"ptrace", [] { return ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }},
    {"unshare user", [] { return long{unshare(CLONE_NEWUSER)}; }},
    {"unshare pid", [] { return long{unshare(CLONE_NEWPID)}; }},
    {"clone user", [] { return clone_into(CLONE_NEWUSER); }},
    {"clone3", [] { return syscall(SYS_clone3, nullptr, 0); }, ENOSYS},  // else EINVAL
    {"inet socket", [] { return long{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)}; }},
    {"local socket", [] { return long{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)}; }},
    {"socketpair", make_pair},
    {"sendmsg", [] { return long{sendmsg(-1, nullptr, 0)}; }},       // else EBADF
    {"sendmmsg", [] { return long{sendmmsg(-1, nullptr, 0, 0)}; }},  // else EBADF
    {"shmget", [] { return long{shmget(IPC_PRIVATE, 4096, 0600)}; }},
    {"io_uring", [] { return syscall(SYS_io_uring_setup, 1, nullptr); }},  // else EFAULT
    {"mount", [] { return long{mount("none", "/nonexistent", "tmpfs", 0, nullptr)}; }},
    {"RLIMIT_DATA", raise_limit},
    {"bpf", [] { return syscall(SYS_bpf, -1, nullptr, 0); }},  // else EINVAL, or forbidden anyway
    {"setgroups", [] { return syscall(SYS_setgroups, 0, nullptr); }},  // by capabilities
    {"process_vm_readv",
     [] { return syscall(SYS_process_vm_readv, getpid(), nullptr, 0, nullptr, 0, 0); }},
    {"vmsplice", [] { return syscall(SYS_vmsplice, -1, nullptr, 0, 0); }},         // else EBADF
    {"thread with its own descriptors", [] { return clone_into(CLONE_THREAD); }},  // else EINVAL
    {"lock, high bits", [] { return syscall(SYS_fcntl, -1, F_OFD_SETLK | kHighBit, nullptr); },
     ENOLCK},  // else EBADF
    {"PR_SET_DUMPABLE, high bits",
     [] { return syscall(SYS_prctl, PR_SET_DUMPABLE | kHighBit, 0, 0, 0, 0); }},
    {"fchmod", [] { return syscall(SYS_fchmod, -1, 0); }},                          // else EBADF
    {"utimensat", [] { return syscall(SYS_utimensat, -1, nullptr, nullptr, 0); }},  // else EBADF
    {"inotify", [] { return syscall(SYS_inotify_init1, -1); }},                     // else EINVAL
};

}  // namespace

int main() { return adversary::first_success(kAttempts); }
