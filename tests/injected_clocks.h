#pragma once

#include <chrono>

namespace keisei::testing_support {

/// clock_gettime of this process as on a machine whose wall clock is set, or that sleeps: the
/// wall clock and the one that counts sleep run ahead of the real ones by what is injected.
/// CLOCK_MONOTONIC, which does neither, stays as it is. For the whole process, until it goes out of
/// scope; children that were started have the real ones.
class InjectedClocks {
 public:
  InjectedClocks();
  ~InjectedClocks();
  InjectedClocks(const InjectedClocks&) = delete;
  InjectedClocks& operator=(const InjectedClocks&) = delete;

  /// Somebody sets the wall clock; negative: back.
  static void step(std::chrono::nanoseconds by);
  /// The machine sleeps and wakes up.
  static void suspend(std::chrono::nanoseconds sleep);
};

}  // namespace keisei::testing_support
