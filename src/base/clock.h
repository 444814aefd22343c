#pragma once

#include <chrono>
#include <string>

namespace keisei {

/// Deadlines and durations. Never steps; stands still while the machine sleeps.
using MonotonicClock = std::chrono::steady_clock;
using MonotonicTime = MonotonicClock::time_point;

/// Wall time, for records and names only; it may jump.
using WallTime = std::chrono::system_clock::time_point;

/// ISO 8601 in UTC with milliseconds, as in 2026-11-23T19:53:30.123Z.
[[nodiscard]] std::string iso_utc(WallTime time);

/// A name for a run directory that sorts by time: 20261123T195330Z.
[[nodiscard]] std::string compact_utc(WallTime time);

[[nodiscard]] constexpr double seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}
[[nodiscard]] constexpr double milliseconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace keisei
