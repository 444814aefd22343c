#include "injected_clocks.h"

#include <dlfcn.h>
#include <time.h>

#include <atomic>

namespace {

std::atomic<std::int64_t> wall_ahead{0};     // nanoseconds
std::atomic<std::int64_t> sleep_counted{0};  // nanoseconds

std::int64_t ahead(clockid_t clock) {
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
      return wall_ahead;
    case CLOCK_BOOTTIME:
      return sleep_counted;
    default:  // of the system's clocks, which no enumeration of ours names
      return 0;
  }
}

}  // namespace

/// In the place of the C library's, for the standard library too.
extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  using Function = int (*)(clockid_t, timespec*);
  static const auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "clock_gettime"));
  const int status = real(clock, time);
  if (const std::int64_t by = status == 0 ? ahead(clock) : 0; by != 0) {
    constexpr std::int64_t kSecond = 1'000'000'000;
    const std::int64_t whole = time->tv_sec * kSecond + time->tv_nsec + by;
    time->tv_sec = whole / kSecond;
    time->tv_nsec = whole % kSecond;
  }
  return status;
}

namespace keisei::testing_support {

InjectedClocks::InjectedClocks() = default;

InjectedClocks::~InjectedClocks() {
  wall_ahead = 0;
  sleep_counted = 0;
}

void InjectedClocks::step(std::chrono::nanoseconds by) { wall_ahead += by.count(); }

void InjectedClocks::suspend(std::chrono::nanoseconds sleep) {
  wall_ahead += sleep.count();
  sleep_counted += sleep.count();
}

}  // namespace keisei::testing_support
