// How many tasks a PID namespace may hold, from Linux 6.14 on: its own kernel.pid_max. Before, that
// file is the host's and is never written to.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "os/jail_internal.h"

namespace keisei::os::jail {
namespace {

constexpr const char* kCeiling = "/proc/sys/kernel/pid_max";
// The kernel gives numbers below this only once, so the first round has that many more.
constexpr long kReservedNumbers = 300;
constexpr long kHighestCeiling = 4'194'304;

bool kernel_has_one_per_namespace() {
  utsname host = {};
  int major = 0;
  int minor = 0;
  return uname(&host) == 0 && sscanf(host.release, "%d.%d", &major, &minor) == 2 &&
         (major > 6 || (major == 6 && minor >= 14));
}

long read_number(int fd) {
  char text[32] = {};
  return pread(fd, text, sizeof text - 1, 0) > 0 ? strtol(text, nullptr, 10) : -1;
}

bool write_number(int fd, long number) {
  char text[32];
  const int length = snprintf(text, sizeof text, "%ld\n", number);
  return pwrite(fd, text, static_cast<size_t>(length), 0) == length;
}

bool set_ceiling(int host, int own, long wanted) {
  const long of_the_host = read_number(host);
  if (of_the_host < 0 || !write_number(own, wanted)) {
    return false;
  }
  if (read_number(host) != of_the_host) {  // it was the host's after all
    write_number(own, of_the_host);
    return false;
  }
  return read_number(own) == wanted;
}

}  // namespace

int open_task_ceiling_of_host() { return open(kCeiling, O_RDONLY | O_CLOEXEC); }

bool set_task_ceiling(int host, std::uint64_t tasks) {
  if (host < 0 || tasks > static_cast<std::uint64_t>(kHighestCeiling - kReservedNumbers) ||
      getpid() != 1 || !kernel_has_one_per_namespace()) {
    return false;
  }
  const int own = open(kCeiling, O_RDWR | O_CLOEXEC);
  if (own < 0) {
    return false;
  }
  const bool set = set_ceiling(host, own, static_cast<long>(tasks) + kReservedNumbers);
  close(own);
  return set;
}

}  // namespace keisei::os::jail
