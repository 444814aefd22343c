#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "guard/training_impact.h"
#include "telemetry/records.h"
#include "telemetry/step_clock.h"

namespace keisei::guard {

/// What is known at one instant. CPU times are in seconds since some beginning.
struct ImpactObservation {
  MonotonicTime now;
  std::optional<telemetry::StepClockReading> progress;  ///< nothing: it cannot be read
  int demand = 0;        ///< evaluations that run, or wait for their start
  bool waiting = false;  ///< one waits for credit
  /// Evaluations ran since the last look that nobody could stop: enforcement is off.
  bool unpaced = false;
  double own_cpu = 0;       ///< of all evaluations and the load so far
  double trainer_cpu = 0;   ///< of the trainer and its descendants
  double others_cpu = 0;    ///< of all but them and the supervisor
  double watching_cpu = 0;  ///< of the supervisor for evaluations' sake, without the load
  bool can_slack = false;   ///< their weight can be lowered
};

/// Nothing tells how the training fares: what the time alone covers must do.
[[nodiscard]] bool blind(const ImpactObservation& seen);

/// Whether the training has ticked since that reading.
[[nodiscard]] bool ticked_since(const telemetry::StepClockReading& reading,
                                const ImpactObservation& seen);

/// The place of a slot in its block.
struct Slot {
  std::int64_t block = 0;
  std::int64_t number = 0;
  std::int64_t slots = 0;
  double cap = 0;
};

/// A frame while it lasts. The first five are chosen, the rest is seen when it begins or later.
struct Stretch {
  std::string_view setting = setting::kFree;
  bool running = false;
  bool burst = true;
  std::string_view control = {};
  Slot slot = {};
  bool at_tick = false;  ///< begins with one
  MonotonicTime begin = {};
  MonotonicTime due = {};
  double planned_s = 0;
  bool held = false;  ///< begins while somebody asks
  bool cut = false;   ///< it ends before its time
  bool unpaced = false;
  bool unwatched = false;       ///< the look that was to come came far too late
  ImpactObservation seen = {};  ///< when it began
  telemetry::StepClockReading reading = {};
};

/// `chosen` from now on, for `length_s` seconds; after `last`, where there was one.
[[nodiscard]] Stretch begin_stretch(Stretch chosen, const std::optional<Stretch>& last,
                                    const ImpactObservation& seen, double length_s);

/// The frame that it was, in nanoseconds since `origin`; without its number, its supervision and
/// whether it is used.
[[nodiscard]] telemetry::FrameRecord end_stretch(const Stretch& stretch,
                                                 const ImpactObservation& seen,
                                                 MonotonicTime origin);

/// What an ordinary frame is like here.
struct Ordinary {
  double frame_s = 0;
  std::optional<double> others = {};  ///< CPUs that others use, without evaluations
};

/// Why that frame is not used, from all but its rate; or empty.
[[nodiscard]] std::string why_discarded(const Stretch& stretch, const ImpactObservation& seen,
                                        const telemetry::FrameRecord& frame,
                                        const Ordinary& ordinary);

}  // namespace keisei::guard
