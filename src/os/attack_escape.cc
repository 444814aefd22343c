// Attempts to reach what a worker must not, and what it sees from inside.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/attack_internal.h"

namespace keisei::os::attack {
namespace {

constexpr size_t kBlock = 1 << 20;

/// The command leads its session already; a child could leave it.
long new_session() {
  const pid_t child = fork_bounded();
  if (child == 0) {
    _exit(setsid() < 0 ? errno : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  errno = WEXITSTATUS(status);
  return errno == 0 ? 0 : -1;
}

long new_user_namespace() {
  const long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, 0UL);
  if (child == 0) {
    _exit(0);
  }
  return child;
}

long raise_limit() {
  const rlimit more = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  return setrlimit(RLIMIT_DATA, &more);
}

struct Attempt {
  const char* name;
  long (*make)();
};

constexpr Attempt kAttempts[] = {
    {"a session of its own", new_session},
    {"a network socket", [] { return long{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)}; }},
    {"a local socket", [] { return long{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)}; }},
    {"tracing", [] { return ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }},
    {"a user namespace", [] { return long{unshare(CLONE_NEWUSER)}; }},
    {"a child in a user namespace", new_user_namespace},
    {"a mount", [] { return long{mount("none", "/nonexistent", "tmpfs", 0, nullptr)}; }},
    {"hiding its descriptors", [] { return long{prctl(PR_SET_DUMPABLE, 0)}; }},
    {"more memory than its limit", raise_limit},
};

bool is_refusal(int error) { return error == EPERM || error == EACCES || error == ENOSYS; }

/// 0 where it could be made, else the errno.
int try_to_write(const char* path) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const int error = fd < 0 ? errno : 0;
  if (fd >= 0) {
    close(fd);
    unlink(path);
  }
  return error;
}

const char* scratch() {
  const char* directory = getenv("TMPDIR");
  return directory != nullptr && *directory != '\0' ? directory : "/tmp";
}

enum class Name { Kept, Removed };

/// Bytes written to `path`, at most `most`; errno is 0 where nothing refused.
int64_t write_file(const char* path, int64_t most, Name name) {
  static char block[kBlock];
  memset(block, 'x', sizeof block);
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd >= 0 && name == Name::Removed) {
    unlink(path);  // before a signal ends this
  }
  int64_t written = 0;
  ssize_t got = 0;
  errno = fd < 0 ? errno : 0;
  while (fd >= 0 && written < most && (got = write(fd, block, sizeof block)) > 0) {
    written += got;
  }
  const int error = errno;
  if (fd >= 0) {
    close(fd);
  }
  errno = error;
  return written;
}

void print_link(const char* key, const char* path) {
  char target[256];
  const ssize_t length = readlink(path, target, sizeof target - 1);
  if (length > 0) {
    dprintf(kAttackReportFd, "%s %.*s\n", key, static_cast<int>(length), target);
  }
}

/// The file's lines, joined by spaces.
void print_file(const char* key, const char* path) {
  char text[1024];
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text);
  if (fd >= 0) {
    close(fd);
  }
  for (ssize_t i = 0; i < length; ++i) {
    text[i] = text[i] == '\n' ? ' ' : text[i];
  }
  if (length > 0) {
    dprintf(kAttackReportFd, "%s %.*s\n", key, static_cast<int>(length), text);
  }
}

void print_limit(const char* key, __rlimit_resource resource) {
  rlimit limit = {};
  if (getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    dprintf(kAttackReportFd, "%s %llu\n", key, static_cast<unsigned long long>(limit.rlim_cur));
  }
}

}  // namespace

int escape(const Arguments&) {
  for (const Attempt& attempt : kAttempts) {
    errno = 0;
    if (attempt.make() >= 0 || !is_refusal(errno)) {
      return say(kAttackBrokeThrough, "%s was not refused (%s)", attempt.name, strerror(errno));
    }
  }
  return say(kAttackHeld, "%zu of %zu attempts refused", sizeof kAttempts / sizeof *kAttempts,
             sizeof kAttempts / sizeof *kAttempts);
}

/// A file where the worker has no business: the first argument.
int write_outside(const Arguments& arguments) {
  const int error = try_to_write(arguments.text(0));
  return error == 0 ? say(kAttackBrokeThrough, "%s could be written", arguments.text(0))
                    : say(kAttackHeld, "refused: %s", strerror(error));
}

/// One file of at most so many bytes, in the scratch directory.
int large_file(const Arguments& arguments) {
  char path[512];
  snprintf(path, sizeof path, "%s/large", scratch());
  const int64_t written = write_file(path, arguments.number(0), Name::Removed);
  const int error = errno;
  return error != 0 ? say(kAttackHeld, "refused after %lld MB: %s",
                          static_cast<long long>(written / 1'000'000), strerror(error))
                    : say(kAttackBrokeThrough, "wrote a file of %lld MB",
                          static_cast<long long>(written / 1'000'000));
}

/// Files of 8 MiB, in the scratch directory, up to so many bytes.
int fill_scratch(const Arguments& arguments) {
  constexpr int64_t kFile = 8 << 20;
  int64_t written = 0;
  int error = 0;
  char path[512];
  int files = 0;
  for (; error == 0 && written < arguments.number(0); ++files) {
    snprintf(path, sizeof path, "%s/fill-%d", scratch(), files);
    written += write_file(path, kFile, Name::Kept);
    error = errno;
  }
  pause_ms(error == 0 ? 1000 : 0);  // for the guard to see what is held
  for (int i = 0; i < files; ++i) {
    snprintf(path, sizeof path, "%s/fill-%d", scratch(), i);
    unlink(path);
  }
  return error != 0 ? say(kAttackHeld, "refused after %lld MB: %s",
                          static_cast<long long>(written / 1'000'000), strerror(error))
                    : say(kAttackBrokeThrough, "wrote %lld MB",
                          static_cast<long long>(written / 1'000'000));
}

/// What holds here, as «key value» lines in the report; the first argument is a path outside.
int inspect(const Arguments& arguments) {
  print_link("pid_namespace", "/proc/self/ns/pid");
  print_link("user_namespace", "/proc/self/ns/user");
  print_link("mount_namespace", "/proc/self/ns/mnt");
  print_link("network_namespace", "/proc/self/ns/net");
  print_link("ipc_namespace", "/proc/self/ns/ipc");
  print_file("cgroup", "/proc/self/cgroup");
  print_file("autogroup", "/proc/self/autogroup");
  print_limit("limit_data", RLIMIT_DATA);
  print_limit("limit_tasks", RLIMIT_NPROC);
  print_limit("limit_file", RLIMIT_FSIZE);
  dprintf(kAttackReportFd, "seccomp %d\n", prctl(PR_GET_SECCOMP));
  dprintf(kAttackReportFd, "idle_class %d\n", sched_getscheduler(0) == SCHED_IDLE ? 1 : 0);
  dprintf(kAttackReportFd, "write_outside %d\n", try_to_write(arguments.text(0)));
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  dprintf(kAttackReportFd, "socket %d\n", fd < 0 ? errno : 0);
  dprintf(kAttackReportFd, "scratch %s\n", scratch());
  struct statfs place = {};
  if (statfs(scratch(), &place) == 0) {
    dprintf(kAttackReportFd, "scratch_type %llx\n", static_cast<unsigned long long>(place.f_type));
    dprintf(kAttackReportFd, "scratch_bytes %llu\n",
            static_cast<unsigned long long>(place.f_blocks) *
                static_cast<unsigned long long>(place.f_bsize));
  }
  return kAttackHeld;
}

}  // namespace keisei::os::attack
