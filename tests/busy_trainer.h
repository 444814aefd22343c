#pragma once

#include <sys/types.h>

#include <cstdint>

#include "telemetry/step_clock.h"

namespace keisei::testing_support {

/// What a step of some 2 ms is.
enum class StepWork {
  Matrices,  ///< products of matrices that fit the cache: vector units, as training has it
  Chain      ///< integer operations that wait for one another: what others do to caches, memory and
             ///< the physical core hardly slows it
};

/// A training that uses every core: each thread does a step's work, then they wait for each other,
/// and one of them ticks. A process of its own, in a session of its own; it ends with this
/// object.
class BusyTrainer {
 public:
  explicit BusyTrainer(int threads, StepWork work = StepWork::Matrices);
  ~BusyTrainer();
  BusyTrainer(const BusyTrainer&) = delete;
  BusyTrainer& operator=(const BusyTrainer&) = delete;

  /// Another reader of its clock.
  [[nodiscard]] telemetry::StepClockReader reader() const;
  /// Steps done so far.
  [[nodiscard]] std::uint64_t steps();

 private:
  telemetry::StepClockWriter clock_;
  telemetry::StepClockReader own_;
  pid_t pid_ = -1;
};

}  // namespace keisei::testing_support
