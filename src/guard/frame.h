#pragma once

#include "telemetry/records.h"
#include "telemetry/step_clock.h"

namespace keisei::guard {

/// In seconds.
[[nodiscard]] double length_s(const telemetry::FrameRecord& frame);

/// Fills in what was done between two readings, the later of which may be of a broken clock.
void take_progress(const telemetry::StepClockReading& from, const telemetry::StepClockReading& to,
                   telemetry::FrameRecord& frame);

/// Whether its phases fill its time, and nothing went back; else the trainer counts wrongly, or
/// lies.
[[nodiscard]] bool adds_up(const telemetry::FrameRecord& frame);

}  // namespace keisei::guard
