#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

#include "telemetry/step_clock.h"

namespace keisei::train {

/// Counts plies from all workers; the training thread alone publishes them on the step clock.
class ProgressMeter {
 public:
  /// `clock` may be null: then nobody looks. It must live longer.
  explicit ProgressMeter(telemetry::StepClockWriter* clock) : clock_(clock) {}

  /// Called by the training thread with every tick, thousands of times a second.
  void on_tick(std::function<void()> heartbeat) { heartbeat_ = std::move(heartbeat); }

  /// Any thread.
  void add(std::uint64_t plies) { plies_.fetch_add(plies, std::memory_order_relaxed); }
  /// While no worker runs.
  void set(std::uint64_t plies) { plies_.store(plies, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t plies() const { return plies_.load(std::memory_order_relaxed); }

  /// The training thread, which is worker 0.
  void tick(telemetry::Phase phase) {
    if (clock_ != nullptr) {
      clock_->tick(phase, plies());
    }
    if (heartbeat_) {
      heartbeat_();
    }
  }

 private:
  telemetry::StepClockWriter* clock_;
  std::function<void()> heartbeat_;
  std::atomic<std::uint64_t> plies_ = 0;
};

}  // namespace keisei::train
