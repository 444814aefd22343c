#pragma once

#include "telemetry/records.h"
#include "telemetry/step_clock.h"

namespace keisei::guard {

inline constexpr double kIdleCpu = 0.1;    // CPUs: what stands still uses less
inline constexpr double kGrainCpu = 0.03;  // CPU seconds: the kernel counts in steps of 10 ms

/// In seconds.
[[nodiscard]] double length_s(const telemetry::FrameRecord& frame);

/// Fills in what was done between two readings, the later of which may be of a broken clock.
void take_progress(const telemetry::StepClockReading& from, const telemetry::StepClockReading& to,
                   telemetry::FrameRecord& frame);

/// Whether its evaluations used more of the processors than what stands still.
[[nodiscard]] bool used_cpu(const telemetry::FrameRecord& frame);

/// Whether its phases fill its time, and nothing went back; else the trainer counts wrongly, or
/// lies.
[[nodiscard]] bool adds_up(const telemetry::FrameRecord& frame);

}  // namespace keisei::guard
