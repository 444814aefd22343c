// goodhart: behaves while it seems to be measured. It looks for the stops and starts by which a
// guard measures it, rests for a while after each, and burns two cores otherwise.
#include <time.h>

#include <atomic>
#include <thread>

namespace {

constexpr long kGapNs = 20'000'000;       // longer than any slice: it has been stopped
constexpr long kGoodForNs = 400'000'000;  // after which nobody seems to look

long now_ns() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000L + now.tv_nsec;
}

std::atomic<long> good_until = 0;

[[noreturn]] void burn() {
  for (long last = now_ns();;) {
    const long now = now_ns();
    if (now - last > kGapNs) {
      good_until = now + kGoodForNs;
    }
    last = now;
    if (now < good_until) {
      const timespec rest = {.tv_sec = 0, .tv_nsec = 1'000'000};
      nanosleep(&rest, nullptr);
    }
  }
}

}  // namespace

int main() {
  std::thread(burn).detach();
  burn();
}
