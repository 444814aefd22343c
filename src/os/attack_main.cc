// keisei-attack NAME COOKIE [ARG...]: what `keisei verify` runs under the safeguards to see whether
// they hold on this host. Small, static and bounded: each process ends by itself within seconds.
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "os/attack_internal.h"

namespace keisei::os::attack {
namespace {

constexpr unsigned kLifeSeconds = 30;

int nothing(const Arguments&) { return kAttackHeld; }

/// Says when it began and when it ended, on the clock that all processes share.
int hold(const Arguments& arguments) {
  dprintf(kAttackReportFd, "%lld ", static_cast<long long>(now_ns()));
  pause_ms(arguments.number(0));
  dprintf(kAttackReportFd, "%lld\n", static_cast<long long>(now_ns()));
  return kAttackHeld;
}

int report(const Arguments& arguments) {
  const char* kind = arguments.text(0);
  if (strcmp(kind, "garbage") == 0) {
    dprintf(kAttackReportFd, "{\"keisei_report\":1,\"games\":[NaN,%c%c", 1, 255);
  } else if (strcmp(kind, "huge") == 0) {
    static char block[1 << 16];
    memset(block, '7', sizeof block);
    for (int64_t left = arguments.number(1); left > 0; left -= int64_t{sizeof block}) {
      if (write(kAttackReportFd, block, sizeof block) < 0) {
        return say(kAttackHeld, "the report was not taken any more: %s", strerror(errno));
      }
    }
  }  // «none»: not one byte
  return kAttackHeld;
}

int crash(const Arguments& arguments) {
  if (strcmp(arguments.text(0), "exit") == 0) {
    return static_cast<int>(arguments.number(1));
  }
  raise(static_cast<int>(arguments.number(1)));
  return say(kAttackBrokeThrough, "a deadly signal did not end it");
}

struct Attack {
  const char* name;
  int (*run)(const Arguments&);
};

constexpr Attack kAttacks[] = {
    {"nothing", nothing},
    {"hold", hold},
    {"report", report},
    {"crash", crash},
    {"spin", spin},
    {"stop", stop},
    {"burn", burn},
    {"leak", leak},
    {"children-hold", children_hold},
    {"hoard-memfd", hoard_memfd},
    {"map-shared", map_shared},
    {"fork-bomb", fork_bomb},
    {"threads", threads},
    {"train", train},
    {"daemons", daemons},
    {"kill-init", kill_init},
    {"kill-supervisor", kill_supervisor},
    {"linger", linger},
    {"escape", escape},
    {"write-outside", write_outside},
    {"large-file", large_file},
    {"fill-scratch", fill_scratch},
    {"inspect", inspect},
};

int run(int argc, char** argv) {
  const char* cookie = getenv(kAttackCookieVariable.data());
  if (argc < 3 || cookie == nullptr || strcmp(cookie, argv[2]) != 0) {
    dprintf(2, "keisei-attack is started by keisei verify and keisei doctor only\n");
    return kAttackMisused;
  }
  bound_life();
  const Arguments arguments = {
      .self = argv[0], .cookie = argv[2], .count = argc - 3, .values = argv + 3};
  for (const Attack& attack : kAttacks) {
    if (strcmp(attack.name, argv[1]) == 0) {
      return attack.run(arguments);
    }
  }
  dprintf(2, "keisei-attack: %s is no attack; is it of this build?\n", argv[1]);
  return kAttackMisused;
}

}  // namespace

int64_t Arguments::number(int index) const { return strtoll(text(index), nullptr, 10); }

void bound_life() { alarm(kLifeSeconds); }

void pause_ms(int64_t ms) {
  timespec left = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1'000'000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

int64_t now_ns() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

int say(int code, const char* format, ...) {
  va_list values;
  va_start(values, format);
  vdprintf(2, format, values);
  va_end(values);
  dprintf(2, "\n");
  return code;
}

pid_t fork_bounded() {
  const pid_t pid = fork();
  if (pid == 0) {
    bound_life();
  }
  return pid;
}

void* shared_page() {
  return mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

}  // namespace keisei::os::attack

int main(int argc, char** argv) { return keisei::os::attack::run(argc, argv); }
