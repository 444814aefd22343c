// No attack, but what is attacked: a training that uses every core.
#include <errno.h>
#include <keisei_progress.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <new>

#include "os/attack_internal.h"

namespace keisei::os::attack {
namespace {

constexpr int64_t kStepNs = 2'000'000;

/// Where its processes wait for each other after each step.
struct Meeting {
  std::atomic<int> arrived{0};
  std::atomic<int> step{0};
};

/// As many rounds of arithmetic as take about a step when nothing is beside it.
int64_t rounds_per_step() {
  int64_t rounds = 1 << 12;
  while (true) {
    const int64_t start = now_ns();
    for (int64_t i = 0; i < rounds; ++i) {
      asm volatile("" : : "r"(i));
    }
    const int64_t took = now_ns() - start;
    if (took > kStepNs / 4) {
      return rounds * kStepNs / took;
    }
    rounds *= 2;
  }
}

void work(int64_t rounds) {
  for (int64_t i = 0; i < rounds; ++i) {
    asm volatile("" : : "r"(i));
  }
}

/// Whoever comes last ticks before it lets the others go on: one writer at a time.
void meet(Meeting& meeting, int processes, keisei_progress* progress) {
  const int step = meeting.step.load();
  if (meeting.arrived.fetch_add(1) + 1 == processes) {
    keisei_progress_tick(progress, KEISEI_PHASE_UPDATE, progress->units + 1);
    meeting.arrived.store(0);
    meeting.step.store(step + 1);
    return;
  }
  while (meeting.step.load() == step) {
    sched_yield();
  }
}

}  // namespace

/// Steps of about 2 ms in a process per core, all of which wait for the slowest, for so many
/// milliseconds; each step ticks in the step clock at kAttackClockFd.
int train(const Arguments& arguments) {
  void* page = shared_page();
  void* clock =
      mmap(nullptr, KEISEI_PROGRESS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, kAttackClockFd, 0);
  if (page == MAP_FAILED || clock == MAP_FAILED) {
    return say(kAttackNotMade, "no memory to train in: %s", strerror(errno));
  }
  auto* meeting = new (page) Meeting;
  const auto processes = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  const int64_t end = now_ns() + arguments.number(0) * 1'000'000;
  const int64_t rounds = rounds_per_step();
  auto* progress = static_cast<keisei_progress*>(clock);
  for (int i = 1; i < processes; ++i) {
    const pid_t pid = fork_bounded();
    if (pid < 0) {
      return say(kAttackNotMade, "fork: %s", strerror(errno));
    }
    if (pid == 0) {
      break;
    }
  }
  while (now_ns() < end) {
    work(rounds);
    meet(*meeting, processes, progress);
  }
  _exit(kAttackHeld);
}

}  // namespace keisei::os::attack
