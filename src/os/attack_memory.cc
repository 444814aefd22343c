// Attacks on the memory limit. The first argument is how many bytes to take at most.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <new>

#include "os/attack_internal.h"

namespace keisei::os::attack {
namespace {

constexpr size_t kChunk = 1 << 20;
constexpr int64_t kMemfdBytes = 8 << 20;
constexpr int kNoticeMs = 1000;  // for the guard to see what is held

/// Takes and touches memory; false where the kernel refuses.
bool take(int64_t bytes, int sharing) {
  for (int64_t taken = 0; taken < bytes; taken += int64_t{kChunk}) {
    void* chunk = mmap(nullptr, kChunk, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED) {
      return false;
    }
    memset(chunk, 1, kChunk);
    asm volatile("" : : "r"(chunk) : "memory");  // it must really happen
  }
  return true;
}

/// All of it is held, and should not be for long.
int hold_on(int64_t bytes) {
  pause_ms(kNoticeMs);
  return say(kAttackBrokeThrough, "held %lld MB for %d ms",
             static_cast<long long>(bytes / 1'000'000), kNoticeMs);
}

}  // namespace

int leak(const Arguments& arguments) {
  if (!take(arguments.number(0), MAP_PRIVATE)) {
    abort();  // as most programs do
  }
  return hold_on(arguments.number(0));
}

int map_shared(const Arguments& arguments) {
  if (!take(arguments.number(0), MAP_SHARED)) {
    return say(kAttackHeld, "shared memory was refused: %s", strerror(errno));
  }
  return hold_on(arguments.number(0));
}

int children_hold(const Arguments& arguments) {
  constexpr int kChildren = 10;
  void* page = shared_page();
  if (page == MAP_FAILED) {
    return say(kAttackNotMade, "no page to count in: %s", strerror(errno));
  }
  auto* settled = new (page) std::atomic<int>(0);
  auto* refused = new (static_cast<char*>(page) + 64) std::atomic<int>(0);
  for (int child = 0; child < kChildren; ++child) {
    const pid_t pid = fork_bounded();
    if (pid < 0) {
      return say(kAttackNotMade, "fork: %s", strerror(errno));
    }
    if (pid == 0) {
      if (!take(arguments.number(0) / kChildren, MAP_PRIVATE)) {
        refused->fetch_add(1);
      }
      settled->fetch_add(1);
      pause();
      _exit(0);
    }
  }
  while (settled->load() < kChildren) {
    pause_ms(1);
  }
  if (refused->load() > 0) {
    return say(kAttackHeld, "%d of %d children were refused their memory", refused->load(),
               kChildren);
  }
  return hold_on(arguments.number(0));
}

int hoard_memfd(const Arguments& arguments) {
  static char block[kChunk];
  memset(block, 'x', sizeof block);
  int64_t written = 0;
  while (written < arguments.number(0)) {
    const int fd = memfd_create("hoard", MFD_CLOEXEC);
    for (int64_t inside = 0; inside < kMemfdBytes; inside += int64_t{kChunk}) {
      if (fd < 0 || write(fd, block, sizeof block) != ssize_t{sizeof block}) {
        return say(kAttackHeld, "refused after %lld MB: %s",
                   static_cast<long long>(written / 1'000'000), strerror(errno));
      }
      written += int64_t{kChunk};
    }
  }
  return hold_on(written);
}

}  // namespace keisei::os::attack
