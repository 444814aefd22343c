#include "guard/impact_controller.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "guard/frame.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;
using telemetry::FrameRecord;
using telemetry::Phase;
using telemetry::StepClockReading;

constexpr double kShortestFrame = 0.2;  // seconds; shorter slots suffer from the scheduler's grain
constexpr double kLongestFrame = 2.5;   // with its switches, within the bucket's capacity
constexpr double kStepsPerFrame = 20;
constexpr double kShortestWashout = 0.05;  // seconds after a switch
constexpr double kFreeFrame = 1.0;
constexpr double kLongFreeFrame = 5.0;  // when the negative control is done
constexpr std::int64_t kControlBlocks = 100;
constexpr std::int64_t kControlFirst = 20;  // blocks of the negative control before the positive
constexpr double kLoadAfter = 120;          // seconds of training
constexpr double kLoadCredit = 2;           // seconds, to begin with it
constexpr auto kNoProgress = 2s;            // without a tick a stretch ends so long after its time
constexpr double kSilentFrames = 4;         // or so many steps
constexpr auto kPatience = 30s;             // the same where nothing runs that could be the cause
constexpr auto kShortestSilence = 250ms;    // that stops evaluations: ten slices of the scheduler
constexpr double kSilentSteps = 10;
constexpr double kIdleCpu = 0.1;      // CPUs: what stands still uses less
constexpr double kDisturbance = 0.1;  // CPUs that others use more or less than usual
constexpr double kGrainCpu = 0.03;    // CPU seconds: the kernel counts in steps of 10 ms
constexpr double kLearn = 0.1;        // weight of the newest frame in what is ordinary
constexpr double kSteadyShare = 0.8;  // of the limit: what the budget earns for ever
constexpr double kLongerThanTypical = 1.3;

std::chrono::nanoseconds from_seconds(double time) {
  return std::chrono::nanoseconds(std::llround(time * 1e9));
}

}  // namespace

ImpactController::ImpactController(Options options)
    : options_(options),
      random_(options.seed, stream_of(Purpose::ImpactDesign, 0)),
      impact_({.limit = options.limit, .slack_loss = options.slack_loss}),
      budget_(options.limit) {}

/// Of long steps as many as the credit can cover together with the switches.
double ImpactController::frame_s() const {
  const double most = std::max(kShortestFrame, kLongestFrame - 2 * washout_s());
  return std::clamp(kStepsPerFrame * tick_s_, kShortestFrame, most);
}

double ImpactController::washout_s() const { return std::max(kShortestWashout, tick_s_); }

std::chrono::nanoseconds ImpactController::patience() const {
  return stretch_->running ? std::max<std::chrono::nanoseconds>(
                                 kNoProgress, from_seconds(kSilentFrames * tick_s_))
                           : kPatience;
}

std::chrono::nanoseconds ImpactController::silence_limit(Phase phase) const {
  if (phase == Phase::Checkpoint || phase == Phase::Idle) {
    return 60s;
  }
  return std::max<std::chrono::nanoseconds>(kShortestSilence, from_seconds(kSilentSteps * tick_s_));
}

/// An on-slot, and the switches around it where evaluations stand still now, as if all were lost.
bool ImpactController::affordable() const {
  const double switches = run_ ? 0 : 2 * washout_s();
  return budget_.credit() >= frame_s() + switches;
}

double ImpactController::predicted_charge() const {
  const double switches = 2 * washout_s();
  return std::max(frame_s() + switches,
                  impact_.upper_while_running() * (kLongerThanTypical * typical_s_ + switches));
}

/// Full weight where it costs no more than is earned, or where the credit covers the rest of an
/// ordinary evaluation.
bool ImpactController::chooses_burst(bool can_slack) const {
  if (options_.always_slack) {
    return !can_slack;
  }
  const double loss = impact_.expected_loss(true);
  const bool slack_helps = can_slack && impact_.expected_loss(false) < loss;
  if (!slack_helps || loss <= kSteadyShare * options_.limit) {
    return true;
  }
  const double rest = kLongerThanTypical * typical_s_ - used_s_;
  return rest > 0 && budget_.credit() >= loss * rest;
}

void ImpactController::note_end() {
  if (used_s_ > 0) {
    typical_s_ += 0.3 * (used_s_ - typical_s_);
  }
  used_s_ = 0;
}

ImpactEstimate ImpactController::estimate(MonotonicTime now) const {
  const bool running = stretch_ && (stretch_->running || stretch_->unpaced);
  return impact_.estimate(running ? std::max(0.0, seconds(now - stretch_->begin)) : 0);
}

std::vector<FrameRecord> ImpactController::take_frames() { return std::exchange(frames_, {}); }

ImpactOrder ImpactController::observe(const ImpactObservation& observed) {
  ImpactObservation seen = observed;
  if (seen.progress) {  // nobody's clock is ahead of ours
    seen.progress->time = std::min(seen.progress->time, seen.now);
  }
  if (!stretch_) {
    begin({.setting = setting::kFree}, seen, kShortestFrame);
    origin_ = origin_.value_or(stretch_->begin);
  }
  stretch_->unpaced |= seen.unpaced;
  cut_short(seen);
  while (over(seen)) {
    close(seen);
    next(seen);
  }
  const bool runs = run_ && !vetoed_;
  return {.run = runs && !load_ && seen.demand > 0,
          .burst = burst_,
          .load = runs && load_,
          .look_again = next_look(seen)};
}

void ImpactController::finish(const ImpactObservation& seen) {
  if (stretch_) {
    stretch_->cut = true;
    close(seen);
    stretch_.reset();
  }
}

void ImpactController::begin(Stretch stretch, const ImpactObservation& seen, double length) {
  const bool ticked = seen.progress && seen.progress->ticks > 0;
  const bool at_tick = ticked && (!stretch_ || seen.progress->ticks != stretch_->reading.ticks);
  stretch.at_tick = at_tick || (ticked && !stretch_);
  stretch.reading = seen.progress.value_or(StepClockReading{});
  stretch.begin = stretch.at_tick ? stretch.reading.time : seen.now;
  stretch.planned_s = length;
  // A switch counts from the order, which comes after the tick.
  const bool is_switch = stretch.setting == setting::kSwitch;
  stretch.due = (is_switch ? seen.now : stretch.begin) + from_seconds(length);
  stretch.own_cpu = seen.own_cpu;
  stretch.trainer_cpu = seen.trainer_cpu;
  stretch.others_cpu = seen.others_cpu;
  stretch_ = stretch;
}

/// Nothing tells how the training fares: what the time alone covers must do.
bool ImpactController::blind(const ImpactObservation& seen) {
  return !seen.progress || seen.progress->ticks == 0;
}

bool ImpactController::over(const ImpactObservation& seen) const {
  if (seen.now < stretch_->due) {
    return false;
  }
  const bool ticked = seen.progress && seen.progress->ticks != stretch_->reading.ticks;
  const bool waits_for_tick = stretch_->setting == setting::kSwitch;
  const bool complete = ticked && (!waits_for_tick || seen.progress->time >= stretch_->due);
  return complete || blind(seen) || seen.now >= stretch_->due + patience();
}

/// What happened in the middle of a stretch and does not wait for its end.
void ImpactController::cut_short(const ImpactObservation& seen) {
  Stretch& now = *stretch_;
  const bool is_slot = now.setting != setting::kSwitch;
  const bool waits = now.setting == setting::kFree || (!now.control.empty() && is_slot);
  const bool in_the_way = load_ && is_slot && !leaves_time_to_load(seen);
  const bool vanished = now.setting == setting::kOn && now.control.empty() && seen.demand == 0;
  if ((waits && seen.demand > 0) || vanished || in_the_way) {
    now.cut = now.cut || seen.now < now.due;
    now.due = std::min(now.due, seen.now);
  }
  if (!run_ || vetoed_ || blind(seen)) {
    return;
  }
  const auto silence = seen.now - std::max(seen.progress->time, now.begin);
  const double spent = seconds(seen.now - now.begin);
  // Two reasons not to wait for the frame's end: the training stands still, or the credit is spent.
  if (silence > silence_limit(seen.progress->phase) || spent > budget_.credit()) {
    vetoed_ = true;
    block_.reset();
    control_block_.reset();
    now.due = std::min(now.due, seen.now);
  }
}

std::string ImpactController::why_discarded(const ImpactObservation& seen,
                                            const FrameRecord& frame) {
  const Stretch& ended = *stretch_;
  const double length = length_s(frame);
  if (!seen.progress || seen.progress->ticks == ended.reading.ticks) {
    return std::string(discard::kNoProgress);
  }
  if (ended.unpaced) {
    return "an evaluation ran without enforcement";
  }
  if (!ended.at_tick) {
    return "it began without a tick";
  }
  if (seen.progress->units < ended.reading.units) {
    return "progress went back";
  }
  if (!adds_up(frame)) {
    return "progress does not add up";
  }
  if (ended.cut && length < 0.5 * frame_s()) {
    return "too short";
  }
  if (!frame.running && seen.demand > 0 && frame.own_cpu > kIdleCpu * length + kGrainCpu) {
    return std::string(discard::kNotStopped);
  }
  if (others_ &&
      std::abs(frame.others_cpu / length - *others_) > kDisturbance + kGrainCpu / length) {
    return std::string(discard::kDisturbed);
  }
  return "";
}

void ImpactController::close(const ImpactObservation& seen) {
  const Stretch& ended = *stretch_;
  const bool ticked = seen.progress && seen.progress->ticks != ended.reading.ticks;
  const MonotonicTime end = ticked ? std::max(seen.progress->time, ended.begin) : seen.now;
  FrameRecord frame{.supervision = options_.supervision,
                    .number = ++number_,
                    .begin_ns = (ended.begin - *origin_).count(),
                    .end_ns = (end - *origin_).count(),
                    .setting = std::string(ended.setting),
                    .running = ended.running || ended.unpaced,
                    .burst = ended.burst,
                    .control = std::string(ended.control),
                    .block = ended.slot.block,
                    .slot = ended.slot.number,
                    .slots = ended.slot.slots,
                    .cap = ended.slot.cap,
                    .planned_ns = from_seconds(ended.planned_s).count(),
                    .own_cpu = seen.own_cpu - ended.own_cpu,
                    .trainer_cpu = seen.trainer_cpu - ended.trainer_cpu,
                    .others_cpu = seen.others_cpu - ended.others_cpu};
  if (ended.unpaced && ended.control == control::kLoad) {  // it is the evaluation's time
    frame.control.clear();
    frame.block = 0;
  }
  take_progress(ended.reading, ticked ? *seen.progress : ended.reading, frame);
  if (end <= ended.begin) {
    return;  // of no length: two ticks within the clock's grain
  }
  if (ended.setting != setting::kSwitch) {
    frame.discarded = why_discarded(seen, frame);
  }
  learn(frame);
  impact_.add(frame);
  const ImpactEstimate estimate = impact_.estimate();
  budget_.fit(tick_s_);
  budget_.update(estimate.training_s, estimate.lost_s_upper);
  if (frame.running && frame.control.empty()) {
    used_s_ += length_s(frame);
  }
  frames_.push_back(std::move(frame));
}

/// What is ordinary without evaluations.
void ImpactController::learn(const FrameRecord& frame) {
  if (frame.discarded == discard::kNotStopped) {
    ++not_stopped_;
  } else if (!frame.running && frame.discarded.empty()) {
    not_stopped_ = 0;
  }
  const double length = length_s(frame);
  if (frame.running || length <= 0 || frame.setting == setting::kSwitch) {
    return;
  }
  const double others = frame.others_cpu / length;
  others_ = others_ ? *others_ + kLearn * (others - *others_) : others;
  const std::int64_t ticks = std::accumulate(frame.ticks.begin(), frame.ticks.end(), 0LL);
  if (ticks > 0 && frame.discarded.empty()) {
    const double tick = static_cast<double>(frame.measured_ns) * 1e-9 / static_cast<double>(ticks);
    tick_s_ = tick_s_ > 0 ? tick_s_ + kLearn * (tick - tick_s_) : tick;
  }
}

void ImpactController::next(const ImpactObservation& seen) {
  if (std::exchange(vetoed_, false)) {
    return hold(seen);
  }
  if (seen.demand > 0) {
    next_with_demand(seen);
  } else {
    next_without_demand(seen);
  }
}

/// Time in which nobody asks: for the control, and for the reference. An open block waits: its
/// hold-out is to lie where evaluations run.
void ImpactController::next_without_demand(const ImpactObservation& seen) {
  if (control_block_ && control_block_->control == control::kLoad) {
    return next_with_load(seen);
  }
  if (run_) {
    return stop_running(seen);
  }
  if (!control_block_ && may_load(seen)) {
    control_block_ = make_block(control::kLoad);
    return next_with_load(seen);
  }
  const bool controls =
      impact_.has_reference() && impact_.estimate().control_blocks < kControlBlocks;
  if (!controls) {
    return begin({.setting = setting::kFree}, seen,
                 !impact_.has_reference() ? kShortestFrame
                 : block_                 ? kFreeFrame
                                          : kLongFreeFrame);
  }
  if (!control_block_) {
    control_block_ = make_block(control::kNothing);
  }
  begin_slot(control_block_, seen);
}

/// Late, and with much credit: it is no reason to keep an evaluation waiting. Once begun, until the
/// credit is spent.
bool ImpactController::may_load(const ImpactObservation& seen) const {
  if (!leaves_time_to_load(seen)) {
    return false;
  }
  const ImpactEstimate known = impact_.estimate();
  const bool ready = known.control_blocks >= kControlFirst && known.training_s >= kLoadAfter;
  const bool begun = known.positive_control.blocks > 0;
  return ready && impact_.wants_load() && (begun ? affordable() : budget_.credit() >= kLoadCredit);
}

/// Whoever waits for credit is not to find it spent, and without progress nothing is seen.
bool ImpactController::leaves_time_to_load(const ImpactObservation& seen) {
  return seen.demand == 0 && !seen.waiting && !seen.unpaced && !blind(seen);
}

void ImpactController::next_with_load(const ImpactObservation& seen) {
  const bool on = control_block_->next != control_block_->hold_out;
  if (!leaves_time_to_load(seen) || (on && !affordable())) {
    control_block_.reset();
    return run_ ? stop_running(seen) : begin({.setting = setting::kFree}, seen, kFreeFrame);
  }
  if (on != run_) {
    return on ? start_running(seen, true) : stop_running(seen);
  }
  begin_slot(control_block_, seen);
}

void ImpactController::start_running(const ImpactObservation& seen, bool load) {
  run_ = true;
  load_ = load;
  begin({.setting = setting::kSwitch,
         .running = true,
         .burst = load_ || burst_,
         .control = load ? control::kLoad : ""},
        seen, washout_s());
}

void ImpactController::stop_running(const ImpactObservation& seen) {
  run_ = false;
  begin({.setting = setting::kSwitch,
         .running = true,
         .burst = load_ || burst_,
         .control = load_ ? control::kLoad : ""},
        seen, washout_s());
  load_ = false;
}

void ImpactController::hold(const ImpactObservation& seen) {
  block_.reset();
  if (run_) {
    return stop_running(seen);
  }
  begin({.setting = setting::kHeld}, seen, frame_s());
}

void ImpactController::next_with_demand(const ImpactObservation& seen) {
  control_block_.reset();
  if (load_) {
    return stop_running(seen);
  }
  const bool knows = impact_.has_reference() || blind(seen);
  if (!knows || (!block_ && !affordable())) {
    return hold(seen);
  }
  if (!block_) {
    block_ = make_block();
    burst_ = chooses_burst(seen.can_slack);
  }
  const bool on = block_->next != block_->hold_out;
  if (on && !affordable()) {
    return hold(seen);
  }
  if (on != run_) {
    return on ? start_running(seen, false) : stop_running(seen);
  }
  begin_slot(block_, seen);
}

ImpactController::Block ImpactController::make_block(std::string_view control) {
  const BlockPlan plan = control.empty() ? impact_.plan() : BlockPlan{};
  return {.id = ++blocks_,
          .slots = plan.slots,
          .hold_out = 1 + random_.below(static_cast<std::uint32_t>(plan.slots)),
          .next = 1,
          .cap = plan.cap,
          .control = control};
}

void ImpactController::begin_slot(std::optional<Block>& open, const ImpactObservation& seen) {
  Block& block = *open;
  const bool on = block.next != block.hold_out;
  begin({.setting = on ? setting::kOn : setting::kOff,
         .running = on && block.control != control::kNothing,
         .burst = load_ || burst_,
         .control = block.control,
         .slot = {block.id, block.next, block.slots, block.cap}},
        seen, frame_s());
  if (block.next++ == block.slots) {
    open.reset();
  }
}

MonotonicTime ImpactController::next_look(const ImpactObservation& seen) const {
  const auto tick = std::clamp<std::chrono::nanoseconds>(from_seconds(tick_s_), 5ms, 100ms);
  MonotonicTime look = std::max(stretch_->due, seen.now + tick);
  if (run_) {
    look = std::min(look, seen.now + kShortestSilence / 2);
  }
  return look;
}

}  // namespace keisei::guard
