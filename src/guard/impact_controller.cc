#include "guard/impact_controller.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "guard/frame.h"
#include "guard/impact_controls.h"

namespace keisei::guard {
namespace {

using telemetry::FrameRecord;

constexpr double kFreeFrame = 1.0;
constexpr double kLongFreeFrame = 5.0;       // when the negative control is done
constexpr double kLongestWaitForPhase = 20;  // seconds
constexpr std::int64_t kPlacedAnyway = 10;   // every so many blocks, to see a phase again
constexpr double kLoadCredit = 2;            // seconds, to begin with it in one
constexpr double kLearn = 0.1;               // weight of the newest frame in what is ordinary
constexpr double kSteadyShare = 0.8;         // of the limit: what the budget earns for ever
constexpr double kLongerThanTypical = 1.3;
constexpr double kStandingMemory = 0.8;  // of the frames in which evaluations are to stand still
constexpr int kTellingFrames = 5;        // of them
constexpr std::chrono::seconds kFarTooLate{10};  // for a look: no load of a machine does that

}  // namespace

ImpactController::ImpactController(Options options)
    : options_(options),
      hold_outs_(options.seed),
      impact_({.limit = options.limit, .slack_loss = options.slack_loss}),
      budget_(options.limit) {}

/// An on-slot, and the switches around it where evaluations stand still now, as if all were lost.
bool ImpactController::affordable() const {
  const double switches = run_ ? 0 : 2 * timing_.washout_s();
  const double slot = block_ ? block_->slot_s : timing_.frame_s();
  return budget_.credit() >= slot + switches;
}

double ImpactController::predicted_charge() const {
  const double switches = 2 * timing_.washout_s();
  return std::max(timing_.frame_s() + switches,
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
  load_had_turn_ = false;
  since_costly_.reset();
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
    due_look_ = seen.now;
    begin({.setting = setting::kFree}, seen, FrameTiming::kShortestFrame);
    origin_ = origin_.value_or(stretch_->begin);
  }
  stretch_->unpaced |= seen.unpaced;
  if (seen.now > due_look_ + kFarTooLate) {
    give_up_unwatched(seen);
  }
  cut_short(seen);
  while (over(seen)) {
    close(seen);
    next(seen);
  }
  sighted_ = !seen.unpaced && !blind(seen);
  const bool runs = run_ && !vetoed_;
  due_look_ = next_look(seen);
  return {.run = runs && !load_ && seen.demand > 0,
          .burst = burst_,
          .load = runs && load_,
          .look_again = due_look_};
}

/// What was at work goes on from a stop, as after a silence of the training.
void ImpactController::give_up_unwatched(const ImpactObservation& seen) {
  stretch_->unwatched = true;
  stretch_->cut = true;
  stretch_->due = std::min(stretch_->due, seen.now);
  vetoed_ = run_;
  block_.reset();
  control_block_.reset();
}

void ImpactController::finish(const ImpactObservation& seen) {
  if (stretch_) {
    stretch_->cut = true;
    close(seen);
    stretch_.reset();
  }
  block_.reset();
  control_block_.reset();
  run_ = load_ = vetoed_ = false;
}

void ImpactController::begin(const Stretch& chosen, const ImpactObservation& seen, double length) {
  stretch_ = begin_stretch(chosen, stretch_, seen, length);
}

bool ImpactController::over(const ImpactObservation& seen) const {
  if (seen.now < stretch_->due) {
    return false;
  }
  const bool ticked = ticked_since(stretch_->reading, seen);
  const bool waits_for_tick = stretch_->setting == setting::kSwitch;
  const bool complete = ticked && (!waits_for_tick || seen.progress->time >= stretch_->due);
  return complete || blind(seen) ||
         seen.now >= stretch_->due + (stretch_->running ? timing_.patience_while_running()
                                                        : FrameTiming::kPatience);
}

/// What happened in the middle of a stretch and does not wait for its end.
void ImpactController::cut_short(const ImpactObservation& seen) {
  Stretch& now = *stretch_;
  const bool is_slot = now.setting != setting::kSwitch;
  const bool is_control = !now.control.empty() && is_slot;
  const bool waits = now.setting == setting::kFree || (is_control && !now.held);
  const bool in_the_way = load_ && is_slot && !load_may_go_on(seen);
  const bool makes_way = now.setting == setting::kFree && seen.waiting && may_load(seen);
  const bool vanished = now.setting == setting::kOn && now.control.empty() && seen.demand == 0;
  if (vanished && block_ && block_->next > block_->hold_out) {  // what it has is a block
    now.slot.slots = now.slot.number;
    block_.reset();
  }
  if ((waits && seen.demand > 0) || makes_way || vanished || in_the_way) {
    now.cut = now.cut || seen.now < now.due;
    now.due = std::min(now.due, seen.now);
  }
  if (!run_ || vetoed_ || blind(seen)) {
    return;
  }
  const auto silence = seen.now - std::max(seen.progress->time, now.begin);
  const double spent = seconds(seen.now - now.begin);
  // Two reasons not to wait for the frame's end: the training stands still, or the credit is spent.
  if (silence > timing_.silence_limit(seen.progress->phase) || spent > budget_.credit()) {
    vetoed_ = true;
    block_.reset();
    control_block_.reset();
    now.due = std::min(now.due, seen.now);
  }
}

void ImpactController::close(const ImpactObservation& seen) {
  FrameRecord frame = end_stretch(*stretch_, seen, *origin_);
  frame.supervision = options_.supervision;
  if (frame.end_ns <= frame.begin_ns) {
    return;  // of no length: two ticks within the clock's grain
  }
  frame.number = ++number_;
  if (stretch_->setting != setting::kSwitch || stretch_->unwatched) {
    frame.discarded = why_discarded(*stretch_, seen, frame, {timing_.frame_s(), others_});
  }
  learn(frame);
  impact_.add(frame);
  const ImpactEstimate estimate = impact_.estimate();
  budget_.fit(timing_.step_s());
  budget_.update(estimate.training_s, estimate.lost_s_upper);
  if (frame.running && frame.control.empty() && !stretch_->unwatched) {
    used_s_ += length_s(frame);
  }
  frames_.push_back(std::move(frame));
}

bool ImpactController::evaluations_go_on() const {
  return standing_.frames >= kTellingFrames &&
         standing_.cpu > kIdleCpu * standing_.seconds + kGrainCpu;
}

/// What is ordinary without evaluations.
void ImpactController::learn(const FrameRecord& frame) {
  if (stretch_->unwatched) {
    return;
  }
  const double length = length_s(frame);
  if (!frame.running && stretch_->held && frame.control != control::kLoad) {
    standing_.seconds = kStandingMemory * standing_.seconds + length;
    standing_.cpu = kStandingMemory * standing_.cpu + frame.own_cpu;
    ++standing_.frames;
  }
  if (frame.running || length <= 0 || frame.setting == setting::kSwitch) {
    return;
  }
  const double others = frame.others_cpu / length;
  others_ = others_ ? *others_ + kLearn * (others - *others_) : others;
  const std::int64_t ticks = std::accumulate(frame.ticks.begin(), frame.ticks.end(), 0LL);
  if (ticks > 0 && frame.discarded.empty()) {
    const double tick = static_cast<double>(frame.measured_ns) * 1e-9 / static_cast<double>(ticks);
    timing_.learn(tick);
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

/// Time in which nobody asks: for the control, and for the reference.
void ImpactController::next_without_demand(const ImpactObservation& seen) {
  if (begun_with_load()) {
    return next_with_load(seen);
  }
  if (run_) {
    return stop_running(seen);
  }
  if (block_) {
    return end_block(seen);
  }
  if (!control_block_ && may_load(seen)) {
    control_block_ = make_block(control::kLoad);
    load_among_others_ = seen.waiting;
    load_had_turn_ = true;
    last_load_ = impact_.training_s();
    return next_with_load(seen);
  }
  if (!wants_negative_control(impact_)) {
    return begin({.setting = setting::kFree}, seen,
                 impact_.has_reference() ? kLongFreeFrame : FrameTiming::kShortestFrame);
  }
  next_with_nothing(seen);
}

/// The last evaluation has gone, and the hold-out is still to come. One that waited for the next
/// evaluation would always lie at the beginning of one, and what ran before it at the end. Where it
/// was to be the next slot it is taken now: so it is each of the slots that there were, with the
/// same chance. Where it was to come later, the block is given up.
void ImpactController::end_block(const ImpactObservation& seen) {
  if (block_->next == block_->hold_out && block_->next > 1 && !blind(seen)) {
    block_->slots = block_->next;
    return begin_slot(block_, seen);
  }
  block_.reset();
  next_without_demand(seen);
}

void ImpactController::next_with_nothing(const ImpactObservation& seen) {
  if (!control_block_) {
    control_block_ = make_block(control::kNothing);
  }
  begin_slot(control_block_, seen);
}

/// In a lull with much credit, and once begun until the credit is spent. While somebody waits, one
/// block after each evaluation.
bool ImpactController::may_load(const ImpactObservation& seen) const {
  const LoadTurn turn = load_turn(impact_, last_load_, budget_.credit());
  if (turn == LoadTurn::Never || seen.demand > 0 || seen.unpaced || blind(seen)) {
    return false;
  }
  if (seen.waiting) {
    return load_has_a_turn();
  }
  return impact_.load_blocks() > 0 ? affordable() : budget_.credit() >= kLoadCredit;
}

bool ImpactController::load_has_a_turn() const {
  return !load_had_turn_ && affordable() &&
         load_turn(impact_, last_load_, budget_.credit()) == LoadTurn::AmongOthers;
}

bool ImpactController::load_is_due() const {
  const bool in_slot = stretch_ && stretch_->control == control::kLoad;  // the last one too
  return begun_with_load() || load_ || in_slot || (sighted_ && load_has_a_turn());
}

/// Whoever waits for credit is not to find more than one block's spent, and without progress
/// nothing is seen.
bool ImpactController::load_may_go_on(const ImpactObservation& seen) const {
  return seen.demand == 0 && (!seen.waiting || load_among_others_) && !seen.unpaced && !blind(seen);
}

void ImpactController::next_with_load(const ImpactObservation& seen) {
  KEISEI_CHECK(!run_ || load_, "an evaluation runs where the load is to");
  const bool on = control_block_->next != control_block_->hold_out;
  if (!load_may_go_on(seen) || (on && !affordable())) {
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
        seen, timing_.washout_s());
}

void ImpactController::stop_running(const ImpactObservation& seen) {
  run_ = false;
  begin({.setting = setting::kSwitch,
         .running = true,
         .burst = load_ || burst_,
         .control = load_ ? control::kLoad : ""},
        seen, timing_.washout_s());
  load_ = false;
}

void ImpactController::hold(const ImpactObservation& seen) {
  block_.reset();
  if (run_) {
    return stop_running(seen);
  }
  begin({.setting = setting::kHeld}, seen, timing_.frame_s());
}

/// Until there is credit; the negative control has use for the time.
void ImpactController::save(const ImpactObservation& seen) {
  if (run_ || !wants_negative_control(impact_) || blind(seen)) {
    return hold(seen);
  }
  block_.reset();
  next_with_nothing(seen);
}

/// Not for ever: that phase may not come again.
bool ImpactController::waits_for_phase(const ImpactObservation& seen) {
  if (blind(seen) || !impact_.phase_losses().is_costly(seen.progress->phase)) {
    since_costly_.reset();
    return false;
  }
  since_costly_ = since_costly_.value_or(seen.now);
  return seconds(seen.now - *since_costly_) < kLongestWaitForPhase;
}

void ImpactController::next_with_demand(const ImpactObservation& seen) {
  if (begun_with_load()) {
    control_block_.reset();
  }
  if (load_) {
    return stop_running(seen);
  }
  const bool knows = impact_.has_reference() || blind(seen) || impact_.is_disbelieved();
  if (!knows) {
    return hold(seen);
  }
  if (!block_ && !affordable()) {
    return save(seen);
  }
  if (!block_) {
    const bool burst = chooses_burst(seen.can_slack);
    const bool anyway = blocks_ % kPlacedAnyway == 0;
    if (!burst && !anyway && waits_for_phase(seen)) {
      return save(seen);
    }
    block_ = make_block();
    burst_ = burst;
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
  BlockPlan plan = control.empty() ? impact_.plan() : BlockPlan{};
  // As many as an evaluation is there for: else most blocks are given up.
  const int there = 1 + static_cast<int>(std::max(typical_s_, used_s_) / timing_.frame_s());
  if (there < plan.slots) {
    plan.slots = std::max(there, 2);
    plan.cap = 1.0 / plan.slots;
  }
  return {.id = ++blocks_,
          .slots = plan.slots,
          .hold_out = hold_outs_.next(plan.slots),
          .next = 1,
          .slot_s = timing_.frame_s(),
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
        seen, block.slot_s);
  if (block.next++ == block.slots) {
    open.reset();
  }
}

MonotonicTime ImpactController::next_look(const ImpactObservation& seen) const {
  const MonotonicTime look = std::max(stretch_->due, seen.now + timing_.between_looks());
  return run_ ? std::min(look, seen.now + FrameTiming::kLongestUnwatched) : look;
}

}  // namespace keisei::guard
