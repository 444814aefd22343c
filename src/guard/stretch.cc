#include "guard/stretch.h"

#include <algorithm>
#include <cmath>

#include "guard/frame.h"

namespace keisei::guard {
namespace {

using telemetry::FrameRecord;
using telemetry::StepClockReading;

constexpr double kDisturbance = 0.1;  // CPUs that others use more or less than usual
constexpr double kLeastOfACut = 0.5;  // of a frame that ends before its time

std::chrono::nanoseconds from_seconds(double time) {
  return std::chrono::nanoseconds(std::llround(time * 1e9));
}

}  // namespace

bool blind(const ImpactObservation& seen) { return !seen.progress || seen.progress->ticks == 0; }

bool ticked_since(const StepClockReading& reading, const ImpactObservation& seen) {
  return seen.progress && seen.progress->ticks != reading.ticks;
}

Stretch begin_stretch(Stretch chosen, const std::optional<Stretch>& last,
                      const ImpactObservation& seen, double length_s) {
  Stretch stretch = chosen;
  const auto is_fresh = [&] {  // an old tick is no beginning: nobody has watched since
    return last && !last->unwatched
               ? ticked_since(last->reading, seen) && seen.progress->time >= last->reading.time
               : seen.now - seen.progress->time <= from_seconds(length_s);
  };
  stretch.at_tick = !blind(seen) && is_fresh();
  stretch.seen = seen;
  stretch.reading = seen.progress.value_or(StepClockReading{});
  stretch.begin = stretch.at_tick ? stretch.reading.time : seen.now;
  stretch.planned_s = length_s;
  stretch.held = seen.demand > 0;
  // A switch counts from the order, which comes after the tick.
  const bool is_switch = stretch.setting == setting::kSwitch;
  stretch.due = (is_switch ? seen.now : stretch.begin) + from_seconds(length_s);
  return stretch;
}

FrameRecord end_stretch(const Stretch& stretch, const ImpactObservation& seen,
                        MonotonicTime origin) {
  const bool ticked = ticked_since(stretch.reading, seen);
  const bool back = ticked && seen.progress->time < stretch.reading.time;
  const MonotonicTime end = ticked && !back && !stretch.unwatched
                                ? std::max(seen.progress->time, stretch.begin)
                                : seen.now;
  FrameRecord frame{.begin_ns = (stretch.begin - origin).count(),
                    .end_ns = (end - origin).count(),
                    .setting = std::string(stretch.setting),
                    .running = stretch.running || stretch.unpaced,
                    .burst = stretch.burst,
                    .control = std::string(stretch.control),
                    .block = stretch.slot.block,
                    .slot = stretch.slot.number,
                    .slots = stretch.slot.slots,
                    .cap = stretch.slot.cap,
                    .planned_ns = from_seconds(stretch.planned_s).count(),
                    .own_cpu = seen.own_cpu - stretch.seen.own_cpu,
                    .trainer_cpu = seen.trainer_cpu - stretch.seen.trainer_cpu,
                    .others_cpu = seen.others_cpu - stretch.seen.others_cpu,
                    .watching_cpu = seen.watching_cpu - stretch.seen.watching_cpu};
  if (stretch.unpaced && stretch.control == control::kLoad) {  // it is the evaluation's time
    frame.control.clear();
    frame.block = 0;
  }
  take_progress(stretch.reading, ticked ? *seen.progress : stretch.reading, frame);
  return frame;
}

std::string why_discarded(const Stretch& stretch, const ImpactObservation& seen,
                          const FrameRecord& frame, const Ordinary& ordinary) {
  const double length = length_s(frame);
  if (stretch.unwatched) {
    return std::string(discard::kUnwatched);
  }
  if (blind(seen)) {
    return std::string(discard::kUnseen);
  }
  if (!ticked_since(stretch.reading, seen)) {
    return std::string(discard::kNoProgress);
  }
  const bool compares = stretch.reading.ticks > 0;
  if (compares && (seen.progress->units < stretch.reading.units ||
                   seen.progress->time < stretch.reading.time)) {
    return std::string(discard::kWentBack);
  }
  if (compares && !adds_up(frame)) {
    return std::string(discard::kDoesNotAddUp);
  }
  if (stretch.unpaced) {
    return "an evaluation ran without enforcement";
  }
  if (!stretch.at_tick) {
    return "it began without a tick";
  }
  if (stretch.cut && length < kLeastOfACut * ordinary.frame_s) {
    return "too short";
  }
  if (!frame.running && seen.demand > 0 && used_cpu(frame)) {
    return std::string(discard::kNotStopped);
  }
  if (ordinary.others &&
      std::abs(frame.others_cpu / length - *ordinary.others) > kDisturbance + kGrainCpu / length) {
    return std::string(discard::kDisturbed);
  }
  return "";
}

}  // namespace keisei::guard
