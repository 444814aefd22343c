#pragma once

#include <chrono>

#include "telemetry/step_clock.h"

namespace keisei::guard {

/// How long frames and switches are beside a training with steps of that length, and what silence
/// of it is unusual. Pure.
class FrameTiming {
 public:
  /// In seconds; shorter slots suffer from the scheduler's grain.
  static constexpr double kShortestFrame = 0.2;
  /// Between looks while evaluations run: half of the shortest silence.
  static constexpr std::chrono::nanoseconds kLongestUnwatched = std::chrono::milliseconds(125);

  /// A frame without evaluations had steps of that length, in seconds.
  void learn(double step_s);

  /// The training's step without evaluations, in seconds; 0 where none was seen yet.
  [[nodiscard]] double step_s() const { return step_s_; }
  /// A slot's length, in seconds. Of long steps as many as the credit can cover together with the
  /// switches.
  [[nodiscard]] double frame_s() const;
  /// After a switch, until what is seen counts; in seconds.
  [[nodiscard]] double washout_s() const;
  /// Until a stretch ends without a tick, after its time; where evaluations run, that could be the
  /// cause, sooner than elsewhere.
  [[nodiscard]] std::chrono::nanoseconds patience_while_running() const;
  static constexpr std::chrono::nanoseconds kPatience = std::chrono::seconds(30);

  /// A longer silence stops evaluations.
  [[nodiscard]] std::chrono::nanoseconds silence_limit(telemetry::Phase phase) const;
  /// Until the next look, at least.
  [[nodiscard]] std::chrono::nanoseconds between_looks() const;

 private:
  double step_s_ = 0;
};

}  // namespace keisei::guard
