#pragma once

#include <time.h>

/// Uses a processor for so many seconds by the clock, stopped time included.
inline void burn(double seconds) {
  const auto now = [] {
    timespec time = {};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  };
  for (const double end = now() + seconds; now() < end;) {
  }
}
