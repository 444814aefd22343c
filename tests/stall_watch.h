#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "base/clock.h"

namespace keisei::testing_support {

/// For how long this host let nobody run: what a thread notices that is hardly ever at work. Who is
/// late by no more than that is no fault of the program that is tested.
class StallWatch {
 public:
  StallWatch() : watching_([this](const std::stop_token& end) { watch(end); }) {}

  [[nodiscard]] std::chrono::nanoseconds longest() const { return longest_.load(); }

 private:
  void watch(const std::stop_token& end) {
    for (MonotonicTime last = MonotonicClock::now(); !end.stop_requested();) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      const MonotonicTime now = MonotonicClock::now();
      longest_ = std::max<std::chrono::nanoseconds>(longest_, now - last);
      last = now;
    }
  }

  std::atomic<std::chrono::nanoseconds> longest_ = std::chrono::nanoseconds(0);
  std::jthread watching_;  // last: it uses the other
};

}  // namespace keisei::testing_support
