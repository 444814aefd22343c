// keisei-jail COMMAND [ARG...]: started by the guard only, with a JailSpec at kJailSpecFd and the
// control socket at kJailControlFd.
//
//   keisei-jail --clone--> init (outer half) --fork--> command (inner half)
//        exits                reaps, forwards, reports; dies with the guard and takes all with it
//
// The init is made with CLONE_PARENT, so that the guard itself is its parent and reaps it: the
// kernel lets it be reaped only when nothing is left in its namespace.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "os/jail_internal.h"

namespace keisei::os::jail {
namespace {

constexpr int kSweepPasses = 2000;  // of about 1 ms

void send_message(const JailMessage& message) {
  // A guard that is gone needs no message: the lifeline says so.
  (void)!send(kJailControlFd, &message, sizeof message, MSG_NOSIGNAL);
}

bool read_spec(JailSpec& spec) {
  return pread(kJailSpecFd, &spec, sizeof spec, 0) == ssize_t{sizeof spec} &&
         spec.magic == kJailMagic && spec.size == sizeof spec && spec.payload_count >= 0 &&
         spec.payload_count <= kJailMaxPayload;
}

/// Like fork, into the namespaces of `flags`, with the guard as parent.
pid_t clone_init(const JailSpec& spec, unsigned long flags) {
  if (spec.in_cgroup != 0) {
    clone_args arguments = {};  // CLONE_PARENT: the signal of the end is this process's own
    arguments.flags = flags | CLONE_PARENT | CLONE_INTO_CGROUP;
    arguments.cgroup = kJailCgroupFd;
    return static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof arguments));
  }
  return static_cast<pid_t>(syscall(SYS_clone,
                                    flags | CLONE_PARENT | static_cast<unsigned long>(SIGCHLD),
                                    nullptr, nullptr, nullptr, 0UL));
}

struct InitClone {
  pid_t pid;
  Containment containment;
};

InitClone clone_best_init(const JailSpec& spec) {
  if (spec.allow_namespaces != 0) {
    if (geteuid() == 0) {
      if (const pid_t pid = clone_init(spec, CLONE_NEWPID); pid >= 0) {
        return {pid, Containment::PidNamespace};
      }
    }
    if ((spec.without & mechanism::kUserNamespace) == 0) {
      if (const pid_t pid = clone_init(spec, CLONE_NEWUSER | CLONE_NEWPID); pid >= 0) {
        return {pid, Containment::UserPidNamespace};
      }
    }
  }
  return {clone_init(spec, 0), Containment::Sweep};
}

void write_file(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) {
    die(path);
  }
  close(fd);
}

/// The same ids inside as outside. /proc belongs to the outer PID namespace and still knows us.
void map_ids(uid_t uid, gid_t gid) {
  char line[64];
  write_file("/proc/self/setgroups", "deny");
  snprintf(line, sizeof line, "%u %u 1", uid, uid);
  write_file("/proc/self/uid_map", line);
  snprintf(line, sizeof line, "%u %u 1", gid, gid);
  write_file("/proc/self/gid_map", line);
}

/// What the init knows of its tree.
struct Tree {
  Containment containment;
  pid_t main_pid;
  JailSession session;
  bool stands = false;          ///< all of it was stopped
  std::int64_t stop_at_ns = 0;  ///< of CLOCK_MONOTONIC: its lease ends then; 0: it has none
};

/// Ends everything below this init, then the init.
[[noreturn]] void end_tree(const Tree& tree) {
  if (tree.containment == Containment::Sweep) {
    if (tree.session == JailSession::Own) {
      kill(-tree.main_pid, SIGKILL);  // no fork gets away from a group that is killed
    }
    for (int pass = 0; pass < kSweepPasses; ++pass) {
      const int left = signal_descendants(SIGKILL);
      while (waitpid(-1, nullptr, WNOHANG) > 0) {
      }
      if (left == 0 && waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD) {
        break;
      }
      const timespec pause = {.tv_sec = 0, .tv_nsec = 1'000'000};
      nanosleep(&pause, nullptr);
    }
  }
  _exit(0);  // in a PID namespace the kernel kills the rest before we can be reaped
}

std::int64_t now_ns() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

void signal_tree(Tree& tree, int signal) {
  tree.stands = signal == SIGSTOP;
  tree.stop_at_ns = 0;
  if (tree.containment == Containment::Sweep) {
    signal_descendants(signal);
  } else if (getpid() == 1) {  // only there does -1 mean «this namespace»
    kill(-1, signal);
  }
}

void let_run(Tree& tree, std::int64_t lease_ns) {
  if (tree.stands) {
    signal_tree(tree, SIGCONT);
  }
  tree.stop_at_ns = lease_ns > 0 ? now_ns() + lease_ns : 0;
}

void obey(Tree& tree, const JailOrder& order) {
  switch (order.kind) {
    case JailOrderKind::SignalMain:
      kill(tree.main_pid, order.signal);
      break;
    case JailOrderKind::SignalGroup:
      kill(-tree.main_pid, order.signal);
      break;
    case JailOrderKind::TakeTerminal:
      take_terminal(tree.main_pid);
      break;
    case JailOrderKind::SignalTree:
      signal_tree(tree, order.signal);
      break;
    case JailOrderKind::LetTreeRun:
      let_run(tree, order.lease_ns);
      break;
  }
}

void tell_stopped(int signal) {
  JailMessage message;
  message.kind = JailMessageKind::MainStopped;
  message.value = signal;
  // A command may stop as often as it likes: that must not block its init.
  (void)!send(kJailControlFd, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void reap(const Tree& tree) {
  // In a session of its own nobody can do anything about a stopped command.
  const int stops = tree.session == JailSession::Own ? 0 : WUNTRACED;
  int status = 0;
  pid_t pid = 0;
  while ((pid = waitpid(-1, &status, WNOHANG | stops)) > 0) {
    if (WIFSTOPPED(status)) {
      if (pid == tree.main_pid) {
        tell_stopped(WSTOPSIG(status));
      }
    } else if (pid == tree.main_pid) {
      JailMessage message;
      message.kind = JailMessageKind::MainExited;
      message.value = status;
      send_message(message);
      end_tree(tree);
    }
  }
}

void stop_if_due(Tree& tree) {
  if (tree.stop_at_ns != 0 && tree.stop_at_ns <= now_ns()) {
    signal_tree(tree, SIGSTOP);
  }
}

/// Until something is to be read, or the tree's lease is over.
int wait_for(pollfd (&fds)[2], const Tree& tree) {
  if (tree.stop_at_ns == 0) {
    return ppoll(fds, 2, nullptr, nullptr);
  }
  const std::int64_t due = tree.stop_at_ns - now_ns();
  const std::int64_t left = due > 0 ? due : 0;
  const timespec time = {.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
  return ppoll(fds, 2, &time, nullptr);
}

[[noreturn]] void serve(Tree tree, int signal_fd) {
  pollfd fds[2] = {{kJailControlFd, POLLIN, 0}, {signal_fd, POLLIN, 0}};
  while (true) {
    stop_if_due(tree);  // first, whatever else there is
    const int ready = wait_for(fds, tree);
    if (ready < 0 && errno != EINTR) {
      end_tree(tree);
    }
    if (ready <= 0) {
      continue;
    }
    if (fds[1].revents != 0) {
      signalfd_siginfo info;
      (void)!read(signal_fd, &info, sizeof info);
      reap(tree);
    }
    if (fds[0].revents != 0) {
      JailOrder order;
      const ssize_t got = recv(kJailControlFd, &order, sizeof order, MSG_DONTWAIT);
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        end_tree(tree);  // the guard is gone, or wants the end
      }
      if (got == ssize_t{sizeof order}) {
        obey(tree, order);
      }
    }
  }
}

/// Nothing but the control socket and the signalfd (now at kJailSpecFd) stays open here, so that no
/// pipe of the command is kept from its end of file.
void keep_only(int signal_fd) {
  if (dup2(signal_fd, kJailSpecFd) < 0) {  // beside the control socket, whose place is fixed
    die("dup2");
  }
  close_range(0, kJailControlFd - 1, 0);
  close_range(kJailSpecFd + 1, ~0U, 0);
}

/// What the starter leaves to its init.
struct Origin {
  uid_t uid;
  gid_t gid;
  int host_ceiling;
  pid_t guard;
};

/// The lifeline alone ties the init to the guard. The parent's death signal would come when the
/// *thread* ends that launched it.
void hold_tree(Setup& setup, const Origin& origin) {
  if (setup.containment == Containment::Sweep) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
  }
  if (setup.containment == Containment::UserPidNamespace) {
    map_ids(origin.uid, origin.gid);
    setup.held |= mechanism::kUserNamespace;
  }
  if ((setup.spec.without & mechanism::kTaskCeiling) == 0 &&
      set_task_ceiling(origin.host_ceiling, setup.spec.tasks)) {
    setup.held |= mechanism::kTaskCeiling;
  }
  // Its root is the leaf: where cgroups are mounted with nsdelegate, nothing below can then leave
  // that or change its limits, though it may leave kTreeCgroup. Elsewhere, and without the right
  // to, the limits of the guard's own samples stay.
  if (setup.spec.in_cgroup != 0 && unshare(CLONE_NEWCGROUP) == 0) {
    setup.held |= mechanism::kCgroupNamespace;
  }
}

/// Like fork, but what is made is in kTreeCgroup where there is one, and says so in `setup`.
pid_t fork_command(Setup& setup) {
  const int tree = setup.spec.in_cgroup == 0
                       ? -1
                       : openat(kJailCgroupFd, kTreeCgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (tree >= 0) {
    clone_args arguments = {};
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.exit_signal = SIGCHLD;
    arguments.cgroup = static_cast<std::uint64_t>(tree);
    const auto pid = static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof arguments));
    close(tree);
    if (pid >= 0) {
      setup.held |= mechanism::kTreeInCgroup;
      return pid;
    }
  }
  return fork();
}

[[noreturn]] void run_init(Setup setup, const Origin& origin) {
  setup.guard = origin.guard;
  hold_tree(setup, origin);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, nullptr);
  sigemptyset(&setup.signals);  // for the command; its starter had some of them blocked
  signal(SIGCHLD, SIG_DFL);     // ignored, it would reap the command's status away
  sigset_t child_ended;
  sigemptyset(&child_ended);
  sigaddset(&child_ended, SIGCHLD);
  const int signal_fd = signalfd(-1, &child_ended, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signal_fd < 0) {
    die("signalfd");
  }
  const pid_t main_pid = fork_command(setup);
  if (main_pid < 0) {
    die("fork");
  }
  if (main_pid == 0) {
    become_command(setup);
  }
  prctl(PR_SET_DUMPABLE, 0);  // the command must not be able to trace its init
  keep_only(signal_fd);
  serve({setup.containment, main_pid, setup.spec.session}, kJailSpecFd);
}

/// What the guard was given, and did not hand over. Where the kernel cannot do that, the command's
/// own half ends the start.
void close_gaps(const JailSpec& spec) {
  close_range(3, kJailControlFd - 1, 0);
  if (spec.payload_count < kJailMaxPayload) {
    close_range(static_cast<unsigned>(kJailFirstPayloadFd + spec.payload_count), kJailCgroupFd - 1,
                0);
  }
}

int run(int argc, char** argv) {
  JailSpec spec;
  if (argc < 2 || !read_spec(spec)) {
    dprintf(2, "keisei-jail is started by keisei only; try: keisei guard -- COMMAND\n");
    return 125;
  }
  close_gaps(spec);
  const Origin origin = {geteuid(), getegid(), open_task_ceiling_of_host(), getppid()};
  const InitClone init = clone_best_init(spec);
  if (init.pid < 0) {
    die("clone");
  }
  if (init.pid == 0) {
    run_init({spec, init.containment, argv + 1}, origin);
  }
  JailMessage message;
  message.kind = JailMessageKind::Started;
  message.value = init.pid;
  message.detail = static_cast<int>(init.containment);
  send_message(message);
  return 0;
}

}  // namespace

void die(const char* step) {
  JailMessage message;
  message.kind = JailMessageKind::SetupFailed;
  message.value = errno;
  strncpy(message.step, step, sizeof message.step - 1);
  send_message(message);
  _exit(125);
}

}  // namespace keisei::os::jail

int main(int argc, char** argv) { return keisei::os::jail::run(argc, argv); }
