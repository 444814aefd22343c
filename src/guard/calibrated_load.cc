#include "guard/calibrated_load.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <system_error>
#include <thread>

#include "base/clock.h"

namespace keisei::guard {
namespace {

constexpr std::chrono::seconds kLongest{10};
constexpr int kRounds = 100'000;  // between two looks at the order: less than 0.1 ms

std::int64_t thread_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

struct CalibratedLoad::Shared {
  std::atomic<std::int64_t> generation{0};  // a start or a stop ends the threads of earlier ones
  std::atomic<std::int64_t> used_ns{0};
  bool running = false;

  static void count(const std::shared_ptr<Shared>& shared, std::int64_t generation) {
    std::int64_t told = 0;
    const MonotonicTime end = MonotonicClock::now() + kLongest;
    while (shared->generation.load() == generation && MonotonicClock::now() < end) {
      for (int i = 0; i < kRounds; ++i) {
        asm volatile("" : : "r"(i));
      }
      const std::int64_t now = thread_ns();
      shared->used_ns.fetch_add(now - told);
      told = now;
    }
  }
};

CalibratedLoad::CalibratedLoad() : shared_(std::make_shared<Shared>()) {}

void CalibratedLoad::start() {
  if (shared_->running) {
    return;
  }
  shared_->running = true;
  const std::int64_t generation = shared_->generation.fetch_add(1) + 1;
  try {
    for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i) {
      std::thread([shared = shared_, generation] { Shared::count(shared, generation); }).detach();
    }
  } catch (const std::system_error&) {  // no thread is left: what runs already is the load
  }
}

void CalibratedLoad::stop() {
  if (shared_->running) {
    shared_->running = false;
    shared_->generation.fetch_add(1);
  }
}

double CalibratedLoad::cpu_seconds() const {
  return static_cast<double>(shared_->used_ns.load()) * 1e-9;
}

}  // namespace keisei::guard
