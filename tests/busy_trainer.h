#pragma once

#include <sys/types.h>

#include <cstdint>

#include "telemetry/step_clock.h"

namespace keisei::testing_support {

/// A training that uses every core: per step each thread multiplies matrices that fit its cache for
/// some 2 ms, then they wait for each other, and the first one ticks. A process of its own, in a
/// session of its own; it ends with this object.
class BusyTrainer {
 public:
  explicit BusyTrainer(int threads);
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
