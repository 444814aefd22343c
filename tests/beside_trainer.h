#pragma once

#include <sys/types.h>

#include <chrono>

#include "telemetry/step_clock.h"

namespace keisei::testing_support {

/// A process that does what a learner does as far as the guard can disturb it: it ticks its step
/// clock every 2 ms, and forks every 50 ms.
class BesideTrainer {
 public:
  struct Account {
    std::uint64_t ticks = 0;
    std::chrono::nanoseconds largest_gap{0};  ///< between two ticks, or since the last one
    int failed_forks = 0;
    bool alive = false;
  };

  BesideTrainer();
  ~BesideTrainer();
  BesideTrainer(const BesideTrainer&) = delete;
  BesideTrainer& operator=(const BesideTrainer&) = delete;

  [[nodiscard]] Account account();
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  struct Shared;

  Shared* shared_;  // with the process
  telemetry::StepClockWriter clock_;
  telemetry::StepClockReader reader_;
  pid_t pid_ = -1;
};

}  // namespace keisei::testing_support
