// scheduler_games [session]: tries to get more of the CPU than it was given, for itself or for its
// session. The exit code is the number of the first attempt that was not refused, 0 where all were.
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string_view>

#include "attempts.h"

namespace {

struct SchedulingAttributes {  // struct sched_attr, which no header of libc has
  std::uint32_t size = sizeof(SchedulingAttributes);
  std::uint32_t policy = 0;
  std::uint64_t flags = 0x01;  // SCHED_FLAG_RESET_ON_FORK
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0;
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};

long set_class(int policy, int priority) {
  const sched_param parameters = {.sched_priority = priority};
  return sched_setscheduler(0, policy, &parameters);
}

long set_attributes() {
  SchedulingAttributes attributes;
  return syscall(SYS_sched_setattr, 0, &attributes, 0U);
}

long set_affinity() {
  cpu_set_t all;
  CPU_ZERO(&all);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    CPU_SET(cpu, &all);
  }
  return sched_setaffinity(0, sizeof all, &all);
}

/// The weight of the whole session.
long lift_autogroup() {
  const int fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) {
    errno = EROFS;  // a kernel without them has none to lift
  }
  return fd < 0 ? -1 : write(fd, "0", 1);
}

const adversary::Attempt kAttempts[] = {
    {"SCHED_OTHER", [] { return set_class(SCHED_OTHER, 0); }, EPERM},
    {"SCHED_BATCH", [] { return set_class(SCHED_BATCH, 0); }, EPERM},
    {"SCHED_FIFO", [] { return set_class(SCHED_FIFO, 1); }, EPERM},
    {"SCHED_RR and reset on fork", [] { return set_class(SCHED_RR | SCHED_RESET_ON_FORK, 1); },
     EPERM},
    {"sched_setattr", set_attributes, EPERM},
    {"nice -5", [] { return long{setpriority(PRIO_PROCESS, 0, -5)}; }, EPERM, EACCES},
    {"nice -5 for its group", [] { return long{setpriority(PRIO_PGRP, 0, -5)}; }, EPERM, EACCES},
    {"I/O class", [] { return syscall(SYS_ioprio_set, 1, 0, 1 << 13); }, EPERM},
    {"affinity", set_affinity, EPERM},
};

const adversary::Attempt kSessionAttempts[] = {
    {"autogroup", lift_autogroup, EACCES, EROFS},
};

}  // namespace

int main(int argc, char** argv) {
  const bool session = argc > 1 && std::string_view(argv[1]) == "session";
  return session ? adversary::first_success(kSessionAttempts) : adversary::first_success(kAttempts);
}
