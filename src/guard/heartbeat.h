#pragma once

#include <chrono>
#include <optional>

#include "base/clock.h"
#include "telemetry/step_clock.h"

namespace keisei::guard {

/// Whether the training that an evaluation is for still makes progress, by its step clock.
///
///   StepClockReading, now -> HeartbeatJudge::observe -> {Unknown, Beating, Silent}
///
/// Silence is counted only while somebody watched: a supervisor that was itself stopped, or a
/// machine that slept, proves nothing about the trainer. What is ordinary is learned: 20 times the
/// longest gap of this training. A silence that was one too long, and after which it came back, was
/// no hang: from then on twice as long is none, up to a minute. Before a whole cycle of phases was
/// seen, and while a checkpoint is written, only a long silence counts; an idle trainer owes no
/// progress.
class HeartbeatJudge {
 public:
  enum class State {
    Unknown,  ///< no tick yet: it starts up
    Beating,
    Silent,
  };

  /// Called at short intervals, as every 100 ms, by one thread.
  State observe(const telemetry::StepClockReading& reading, MonotonicTime now);

  [[nodiscard]] State state() const { return state_; }
  /// Without a tick, as far as watched.
  [[nodiscard]] std::chrono::nanoseconds silence() const { return silence_; }
  /// The silence that is one too long, in the phase of the last reading.
  [[nodiscard]] std::chrono::nanoseconds limit() const;

 private:
  void learn(const telemetry::StepClockReading& reading);

  std::optional<telemetry::StepClockReading> last_;
  MonotonicTime looked_;
  std::chrono::nanoseconds silence_{0};
  std::chrono::nanoseconds longest_gap_{0};
  std::chrono::nanoseconds longest_survived_{0};  ///< that was judged Silent
  int turns_ = 0;  ///< how often the phase went into the update or out of it
  State state_ = State::Unknown;
};

}  // namespace keisei::guard
