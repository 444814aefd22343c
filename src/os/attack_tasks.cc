// Attacks on the number of processes and threads.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <new>

#include "os/attack_internal.h"

namespace keisei::os::attack {
namespace {

constexpr int kNoticeMs = 1000;
constexpr size_t kSmallStack = 64 << 10;

void* wait_for_the_end(void*) {
  while (true) {
    pause();
  }
}

}  // namespace

/// Every process forks as fast as it can, up to as many as the first argument says.
int fork_bomb(const Arguments& arguments) {
  const int most = static_cast<int>(arguments.number(0));
  void* page = shared_page();
  if (page == MAP_FAILED) {
    return say(kAttackNotMade, "no page to count in: %s", strerror(errno));
  }
  auto* forks = new (page) std::atomic<int>(0);
  auto* refusals = new (static_cast<char*>(page) + 64) std::atomic<int>(0);
  const pid_t first = getpid();
  while (refusals->load() == 0 && forks->fetch_add(1) < most) {
    if (fork_bounded() < 0) {
      refusals->fetch_add(1);
    }
  }
  if (getpid() != first) {
    wait_for_the_end(nullptr);
  }
  pause_ms(kNoticeMs);
  if (refusals->load() > 0) {
    return say(kAttackHeld, "the kernel refused the fork after %d", forks->load() - 1);
  }
  return say(kAttackBrokeThrough, "%d processes lived for %d ms", most, kNoticeMs);
}

/// Threads, up to as many as the first argument says; reports how many there were.
int threads(const Arguments& arguments) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kSmallStack);
  const int most = static_cast<int>(arguments.number(0));
  for (int count = 0; count < most; ++count) {
    pthread_t thread;
    const int error = pthread_create(&thread, &attributes, wait_for_the_end, nullptr);
    if (error != 0) {
      return say(kAttackHeld, "the kernel refused thread %d: %s", count + 2, strerror(error));
    }
  }
  return say(kAttackBrokeThrough, "%d threads lived", most + 1);
}

}  // namespace keisei::os::attack
