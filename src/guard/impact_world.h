#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "guard/impact_controller.h"

namespace keisei::guard::testing_support {

/// A training on a clock of its own that loses a share of its rate while evaluations run, and what
/// watches it.
class World {
 public:
  double burst_loss = 0.5;
  double slack_loss = 0.02;
  /// The same in updates, where there are any: a second of rollout, a second of update, and so on.
  std::optional<double> slack_loss_in_updates = std::nullopt;
  double load_loss = 0.5;
  bool forgets_time = false;  // the phases of its progress do not fill their time
  bool lies = false;          // it reports the progress that it makes when nothing is beside it
  double step_s = 0.005;
  /// Of the training itself, whatever runs beside it; by the time since the last evaluation came.
  std::function<double(double)> speed = [](double) { return 1.0; };
  int demand = 1;
  bool waiting = false;
  bool unpaced = false;
  bool can_slack = true;
  bool ticks = true;
  bool readable = true;
  bool stalled = false;
  std::chrono::seconds ahead{0};                             // of our clock
  double burst_cpu = 1;                                      // CPUs that evaluations use
  std::function<double()> stopped_cpu = [] { return 0.0; };  // while they are to stand still
  double stopped_loss = 0;  // of the training's rate, for each of these CPUs
  double watching = 0;      // CPUs of whoever watches
  std::function<double()> others = [] { return 0.0; };  // CPUs

  explicit World(std::uint64_t seed = 7) : controller({.limit = 0.05, .seed = seed}) {
    now_ += std::chrono::hours(1);
    tick();
  }

  /// Goes on for `length` seconds.
  void go_on(double length) {
    const MonotonicTime end = now_ + seconds_of(length);
    while (now_ < end) {
      if (now_ >= order.look_again) {
        look();
      }
      step();
    }
  }

  /// The same while evaluations of half a second at work are asked for one after the other, as the
  /// governor admits them: each waits until the credit covers it.
  void ask_again_and_again(double length) {
    const double end = passed_s + length;
    while (passed_s < end) {
      demand = 0;
      waiting = true;
      while (passed_s < end &&
             (controller.load_is_due() ||
              controller.credit() < std::min(2.5, controller.predicted_charge()))) {
        go_on(0.05);
      }
      demand = 1;
      waiting = false;
      controller.note_start();
      const double ran_before = ran_s;
      while (passed_s < end && ran_s - ran_before < 0.5) {
        go_on(0.02);
      }
      demand = 0;
      controller.note_end();
      evaluations += passed_s < end ? 1 : 0;
    }
  }

  /// One evaluation that is at work for so long, and not paced but by the blocks.
  void come_and_go(double length) {
    const double ran_before = ran_s;
    demand = 1;
    controller.note_start();
    look();
    while (ran_s - ran_before < length) {
      go_on(0.02);
    }
    demand = 0;
    controller.note_end();
    look();
  }

  void look() {
    telemetry::StepClockReading progress = progress_;
    progress.time += ahead;
    order = controller.observe({.now = now_,
                                .progress = readable ? std::optional(progress) : std::nullopt,
                                .demand = demand,
                                .waiting = waiting,
                                .unpaced = unpaced,
                                .own_cpu = own_cpu_,
                                .trainer_cpu = trainer_cpu_,
                                .others_cpu = others_cpu_,
                                .watching_cpu = watching * passed_s,
                                .can_slack = can_slack});
    for (telemetry::FrameRecord& frame : controller.take_frames()) {
      frames.push_back(std::move(frame));
    }
  }

  void finish() {
    controller.finish({.now = now_, .progress = progress_});
    for (telemetry::FrameRecord& frame : controller.take_frames()) {
      frames.push_back(std::move(frame));
    }
  }

  void set_back_units() { units_ -= 500'000; }
  /// Of all ticks from now on, and of the last one.
  void set_back_time(std::chrono::seconds by) {
    behind_ += by;
    progress_.time -= by;
    progress_.ticks += 1;
  }
  /// Nobody watches, and nobody trains: the machine, or the container, is stopped.
  void pass_unwatched(double length) { now_ += seconds_of(length); }
  /// Nobody watches while evaluations compute, as when the guard alone is stopped.
  void compute_unwatched(double length) {
    pass_unwatched(length);
    own_cpu_ += length;
  }

  ImpactController controller;
  ImpactOrder order;
  std::vector<telemetry::FrameRecord> frames;
  double trained_s = 0;  // what was done, in seconds of a training that nothing slows down
  double passed_s = 0;
  double ran_s = 0;
  double ran_in_updates_s = 0;
  double loaded_s = 0;  // in which the load ran
  bool both_ran = false;
  int evaluations = 0;  // that ended

 private:
  static std::chrono::nanoseconds seconds_of(double value) {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(value * 1e9));
  }
  void step() {
    const bool running = order.run && demand > 0;
    const double loss = order.load   ? load_loss
                        : running    ? (order.burst ? burst_loss : slack_loss_now())
                        : demand > 0 ? stopped_loss * stopped_cpu()
                                     : 0;
    came_s_ = demand > 0 && demand_before_ == 0 ? passed_s : came_s_;
    demand_before_ = demand;
    const double alone_s = step_s / speed(passed_s - came_s_);
    const double took = lies ? alone_s : alone_s / (1 - loss);
    trainer_cpu_ += took * (1 - loss);
    loaded_s += order.load ? took : 0;
    both_ran |= order.load && order.run;
    now_ += seconds_of(took);
    passed_s += took;
    trained_s += alone_s;
    ran_s += running ? took : 0;
    ran_in_updates_s += running && updates() ? took : 0;
    own_cpu_ += took * (order.load ? 2 : running ? burst_cpu : demand > 0 ? stopped_cpu() : 0);
    others_cpu_ += took * others();
    if (stalled) {
      return;
    }
    units_ += 32;
    if (ticks) {
      tick();
    }
  }
  [[nodiscard]] bool updates() const {
    return slack_loss_in_updates && std::fmod(passed_s, 2) >= 1;
  }
  [[nodiscard]] double slack_loss_now() const {
    return updates() ? *slack_loss_in_updates : slack_loss;
  }
  void tick() {
    const auto phase = updates() ? telemetry::Phase::Update : telemetry::Phase::RolloutInference;
    telemetry::PhaseTotal& total = progress_.phases[static_cast<std::size_t>(phase)];
    if (progress_.ticks > 0) {
      total.ticks += 1;
      total.units += units_ > progress_.units ? units_ - progress_.units : 0;
      total.time += (now_ - behind_ - progress_.time) / (forgets_time ? 2 : 1);
    }
    progress_.phase = phase;
    progress_.ticks += 1;
    progress_.units = units_;
    progress_.time = now_ - behind_;
  }

  MonotonicTime now_;
  telemetry::StepClockReading progress_;
  std::uint64_t units_ = 1'000'000;
  double came_s_ = 0;
  std::chrono::seconds behind_{0};
  int demand_before_ = 0;
  double own_cpu_ = 0;
  double trainer_cpu_ = 0;
  double others_cpu_ = 0;
};

[[nodiscard]] inline double true_loss(const World& world) {
  return 1 - world.trained_s / world.passed_s;
}

}  // namespace keisei::guard::testing_support
