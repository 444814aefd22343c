#pragma once

#include <time.h>

#include <chrono>

namespace keisei {

/// Of this thread: on a busy machine a probe takes longer, but costs no more.
inline std::chrono::nanoseconds thread_cpu_time() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace keisei
