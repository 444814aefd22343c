#pragma once

#include <cstdint>
#include <span>

#include "net/spec.h"
#include "telemetry/records.h"

namespace keisei::train {

/// What a callback sees. Views; valid during the call.
struct TrainingProgress {
  std::int64_t previous_step = 0;  // at the last call
  std::int64_t step = 0;           // plies trained
  net::NetSpec spec;
  std::span<const float> weights;  // [parameter_count] float32, as they are at `step`
  const telemetry::UpdateRecord& update;
};

/// Looks on while training goes on. Runs on the training thread, after each update; whatever it
/// takes, training waits for.
class Callback {
 public:
  Callback() = default;
  Callback(const Callback&) = delete;
  Callback& operator=(const Callback&) = delete;
  virtual ~Callback() = default;

  virtual void on_step_end(const TrainingProgress& progress) = 0;
};

}  // namespace keisei::train
