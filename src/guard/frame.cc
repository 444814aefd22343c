#include "guard/frame.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace keisei::guard {

using telemetry::FrameRecord;
using telemetry::StepClockReading;

double length_s(const FrameRecord& frame) {
  return static_cast<double>(frame.end_ns - frame.begin_ns) * 1e-9;
}

void take_progress(const StepClockReading& from, const StepClockReading& to, FrameRecord& frame) {
  frame.measured_ns = (to.time - from.time).count();
  for (std::size_t i = 0; i < telemetry::kPhases; ++i) {
    const auto since = [](std::uint64_t now, std::uint64_t then) {
      return static_cast<std::int64_t>(now - then);
    };
    frame.ticks.push_back(since(to.phases[i].ticks, from.phases[i].ticks));
    frame.units.push_back(since(to.phases[i].units, from.phases[i].units));
    frame.time_ns.push_back((to.phases[i].time - from.phases[i].time).count());
  }
}

bool used_cpu(const FrameRecord& frame) {
  return frame.own_cpu > kIdleCpu * length_s(frame) + kGrainCpu;
}

bool adds_up(const FrameRecord& frame) {
  const std::int64_t sum = std::accumulate(frame.time_ns.begin(), frame.time_ns.end(), 0LL);
  const auto negative = [](std::int64_t value) { return value < 0; };
  return std::abs(sum - frame.measured_ns) <= frame.measured_ns / 100 + 1'000'000 &&
         std::ranges::none_of(frame.ticks, negative) &&
         std::ranges::none_of(frame.units, negative) &&
         std::ranges::none_of(frame.time_ns, negative);
}

}  // namespace keisei::guard
