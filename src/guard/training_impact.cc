#include "guard/training_impact.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace keisei::guard {
namespace {

using telemetry::FrameRecord;
using telemetry::Phase;

constexpr double kReferenceMemory = 32;  // frames after which half of the reference is new
constexpr double kSpreadMemory = 64;     // the same of its spread
constexpr int kSpreadKnown = 20;         // hold-outs before the spread decides anything
constexpr double kCapInSpreads = 6;      // beyond it a block counts as wholly lost
constexpr double kLargestCap = 0.5;
constexpr double kLargestGain = 0.5;  // of an on-frame: what is faster is not believed
constexpr double kLeastTicks = 3;     // of a kind of work, to be a reference
constexpr double kNegligible = 0.02;  // share of a frame in which an unknown kind may stay
constexpr double kLeastBusy = 0.5;    // share of a frame in which training was not idle
constexpr double kMostSilence = 0.5;  // share of the time without progress, in a certificate
constexpr double kGuessFrames = 4;    // that a guess counts for
constexpr double kBurstGuess = 0.5;   // two threads on two cores take half from each other
constexpr double kSlackGuess = 0.25;  // what a barrier costs beside one idle-class thread
constexpr std::array<const char*, 3> kKindNames = {"rollout", "update", "checkpoint"};

std::size_t index(Phase phase) { return static_cast<std::size_t>(phase); }

double seconds_in(const FrameRecord& frame, Phase phase) {
  return index(phase) < frame.time_ns.size()
             ? static_cast<double>(frame.time_ns[index(phase)]) * 1e-9
             : 0;
}

}  // namespace

std::string_view to_string(ImpactVerdict verdict) {
  switch (verdict) {
    case ImpactVerdict::Within:
      return "Within";
    case ImpactVerdict::Exceeded:
      return "Exceeded";
    case ImpactVerdict::Unproven:
      return "Unproven";
  }
  return "";
}

TrainingImpact::TrainingImpact(Options options)
    : options_(options), sums_(options.alpha), control_(options.alpha) {}

TrainingImpact::Amounts TrainingImpact::amounts_of(const FrameRecord& frame) {
  Amounts amounts{};
  const auto add = [&](std::size_t kind, Phase phase) {
    const std::size_t i = index(phase);
    if (i < frame.time_ns.size() && i < frame.ticks.size() && i < frame.units.size()) {
      amounts[kind].seconds += static_cast<double>(frame.time_ns[i]) * 1e-9;
      amounts[kind].ticks += static_cast<double>(frame.ticks[i]);
      amounts[kind].units += static_cast<double>(frame.units[i]);
    }
  };
  add(0, Phase::RolloutEnvironment);
  add(0, Phase::RolloutInference);
  add(1, Phase::Update);
  add(2, Phase::Checkpoint);
  return amounts;
}

/// What that much of one kind of work takes without evaluations.
std::optional<double> TrainingImpact::reference_seconds(std::size_t kind,
                                                        const Amount& done) const {
  const Amount& known = reference_[kind];
  if (known.ticks < kLeastTicks * 0.5) {  // of ticks that fade
    return std::nullopt;
  }
  return known.units > 0 ? done.units * (known.seconds / known.units)
                         : done.ticks * (known.seconds / known.ticks);
}

/// Nothing where it cannot be told: most of the frame was idle, or of a kind not seen yet.
std::optional<double> TrainingImpact::rate_of(const Amounts& amounts) const {
  double length = 0;
  for (const Amount& amount : amounts) {
    length += amount.seconds;
  }
  if (length <= 0 || !has_reference()) {
    return std::nullopt;
  }
  double work = 0;
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    const std::optional<double> reference = reference_seconds(kind, amounts[kind]);
    if (!reference && amounts[kind].seconds > kNegligible * length) {
      return std::nullopt;
    }
    work += reference.value_or(amounts[kind].seconds);
  }
  return work / length;
}

std::optional<double> TrainingImpact::loss_of(const FrameRecord& frame) const {
  const std::optional<double> rate = rate_of(amounts_of(frame));
  return rate ? std::optional(std::max(1 - *rate, -kLargestGain)) : std::nullopt;
}

void TrainingImpact::take_reference(const Amounts& amounts) {
  const double keep = std::exp2(-1 / kReferenceMemory);
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    if (amounts[kind].ticks > 0) {
      Amount& known = reference_[kind];
      known = {.seconds = keep * known.seconds + amounts[kind].seconds,
               .ticks = keep * known.ticks + amounts[kind].ticks,
               .units = keep * known.units + amounts[kind].units};
    }
    all_off_[kind].seconds += amounts[kind].seconds;
  }
  ++reference_frames_;
}

void TrainingImpact::add(const FrameRecord& frame) {
  const double length = static_cast<double>(frame.end_ns - frame.begin_ns) * 1e-9;
  const double snapshots = seconds_in(frame, Phase::EvaluationSnapshot);
  training_s_ += std::max(0.0, length - seconds_in(frame, Phase::Idle));
  snapshots_s_ += snapshots;
  running_s_ += frame.running ? length : 0;
  silent_s_ += frame.discarded == discard::kNoProgress ? length : 0;

  std::string discarded = frame.discarded;
  const Amounts amounts = amounts_of(frame);
  std::optional<double> rate;
  if (discarded.empty() && frame.setting != setting::kSwitch) {
    double busy = snapshots;
    for (const Amount& amount : amounts) {
      busy += amount.seconds;
    }
    rate = rate_of(amounts);
    if (busy < kLeastBusy * static_cast<double>(frame.measured_ns) * 1e-9) {
      discarded = "training was idle";
      rate.reset();
    } else if (!rate && has_reference()) {
      discarded = "no reference for its phase yet";
    }
  }
  if (!discarded.empty()) {
    ++discarded_[discarded];
  }
  if (frame.block != 0) {
    take_slot(frame, rate, amounts);
  }
  if (!frame.running && frame.setting != setting::kSwitch && frame.discarded.empty() &&
      discarded != "training was idle") {
    take_reference(amounts);
  }
}

void TrainingImpact::take_slot(const FrameRecord& frame, std::optional<double> rate,
                               const Amounts& amounts) {
  if (block_ && block_->id != frame.block) {
    give_up_block();
  }
  if (!block_) {
    block_.emplace();
    block_->id = frame.block;
    block_->cap = frame.cap;
    block_->placebo = frame.placebo;
  }
  Block& block = *block_;
  if (rate && !frame.running) {
    const double keep = spread_frames_ < kSpreadMemory ? spread_frames_ / (spread_frames_ + 1.0)
                                                       : 1 - 1 / kSpreadMemory;
    spread_ = keep * spread_ + (1 - keep) * (*rate - 1) * (*rate - 1);
    ++spread_frames_;
  }
  if (rate && frame.setting == setting::kOff) {
    block.off_gain = *rate - 1;
    block.off = amounts;
  } else if (frame.setting == setting::kOn) {
    block.on_seconds += static_cast<double>(frame.end_ns - frame.begin_ns) * 1e-9;
    block.burst = frame.burst;
    if (rate) {
      block.on_loss += std::max(1 - *rate, -kLargestGain);
      ++block.on_frames;
      for (std::size_t kind = 0; kind < kKinds; ++kind) {
        block.on[kind].seconds += amounts[kind].seconds;
        block.on[kind].ticks += amounts[kind].ticks;
        block.on[kind].units += amounts[kind].units;
      }
    }
  }
  if (frame.slot == frame.slots) {
    settle_block();
  }
}

void TrainingImpact::settle_block() {
  const Block block = *std::exchange(block_, std::nullopt);
  if (!block.off_gain || block.on_frames == 0) {
    return;
  }
  settle(block.placebo ? control_ : sums_, block);
  if (!block.placebo) {
    count_phases(block);
    ClassLoss& known = by_class_[block.burst ? 1 : 0];
    const auto frames = static_cast<double>(block.on_frames);
    known.loss += block.on_loss + frames * *block.off_gain;
    known.frames += frames;
  }
}

/// What was seen in it counts, never as less than nothing, and never as a draw of the design:
/// it may have been given up because of what was seen.
void TrainingImpact::give_up_block() {
  const Block block = *std::exchange(block_, std::nullopt);
  if (block.placebo || block.on_seconds <= 0) {
    return;
  }
  const double share =
      block.on_frames > 0
          ? std::clamp(block.on_loss / static_cast<double>(block.on_frames), 0.0, 1.0)
          : 1.0;
  aborted_running_s_ += block.on_seconds;
  aborted_lost_s_ += share * block.on_seconds;
  ClassLoss& known = by_class_[block.burst ? 1 : 0];
  known.loss += share * static_cast<double>(std::max<std::int64_t>(block.on_frames, 1));
  known.frames += static_cast<double>(std::max<std::int64_t>(block.on_frames, 1));
}

void TrainingImpact::settle(Sums& sums, const Block& block) const {
  const auto frames = static_cast<double>(block.on_frames);
  const double gain = *block.off_gain;
  const double loss = block.on_loss + frames * gain;
  ++sums.blocks;
  sums.frames += block.on_frames;
  sums.loss += loss;
  const double slots = frames + 1;
  if (gain > block.cap) {
    ++sums.wholly_lost;
    sums.upper_loss += std::max(loss, frames);
  } else {
    sums.upper_loss += loss;
  }
  sums.upper.add(std::min(1.0, slots * std::min(gain, block.cap)));
  sums.lower_loss += gain < -block.cap ? std::min(loss, 0.0) : loss;
  sums.lower.add(std::min(1.0, -slots * std::max(gain, -block.cap)));
  const double on_rate = 1 - block.on_loss / frames;
  if (on_rate > 0 && gain > -1) {
    sums.log_ratio += std::log(on_rate / (1 + gain));
    ++sums.log_ratios;
  }
}

void TrainingImpact::count_phases(const Block& block) {
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    const std::optional<double> on = reference_seconds(kind, block.on[kind]);
    const std::optional<double> off = reference_seconds(kind, block.off[kind]);
    if (on && off) {
      PhaseSums& sums = by_phase_[kind];
      sums.on_seconds += block.on[kind].seconds;
      sums.on_work += *on;
      sums.off_seconds += block.off[kind].seconds;
      sums.off_work += *off;
    }
  }
}

BoundedShare TrainingImpact::Sums::share() const {
  if (frames == 0) {
    return {.estimate = 0, .lower = 0, .upper = 1};
  }
  const auto count = static_cast<double>(frames);
  return {.estimate = loss / count,
          .lower = (lower_loss - lower.slack()) / count,
          .upper = std::min(1.0, (upper_loss + upper.slack()) / count)};
}

std::map<std::string, PhaseImpact> TrainingImpact::phases() const {
  double all = 0;
  for (const Amount& amount : all_off_) {
    all += amount.seconds;
  }
  std::map<std::string, PhaseImpact> phases;
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    if (all_off_[kind].seconds <= 0) {
      continue;
    }
    PhaseImpact& phase = phases[kKindNames[kind]];
    phase.share = all_off_[kind].seconds / all;
    const PhaseSums& sums = by_phase_[kind];
    if (sums.on_seconds > 0 && sums.off_work > 0) {
      phase.loss = 1 - (sums.on_work / sums.on_seconds) / (sums.off_work / sums.off_seconds);
    }
  }
  return phases;
}

double TrainingImpact::upper_while_running() const { return sums_.share().upper; }

double TrainingImpact::expected_loss(bool burst) const {
  const ClassLoss& known = by_class_[burst ? 1 : 0];
  const double guess = burst ? kBurstGuess : kSlackGuess;
  return std::clamp((known.loss + kGuessFrames * guess) / (known.frames + kGuessFrames), 0.0, 1.0);
}

BlockPlan TrainingImpact::plan() const {
  BlockPlan plan;
  if (spread_frames_ < kSpreadKnown || upper_while_running() >= options_.limit) {
    return plan;
  }
  const double cap = std::clamp(kCapInSpreads * std::sqrt(spread_), 1.0 / kMostSlots, kLargestCap);
  plan.slots = std::clamp(static_cast<int>(1 / cap), 2, kMostSlots);
  plan.cap = 1.0 / plan.slots;
  return plan;
}

void TrainingImpact::judge(ImpactEstimate& all) const {
  if (training_s_ <= 0 || silent_s_ > kMostSilence * training_s_) {
    all.reason = fmt::format("the training has reported no progress in {:.0f} of {:.0f} s",
                             silent_s_, training_s_);
  } else if (all.amortised.upper < options_.limit) {
    all.verdict = ImpactVerdict::Within;
  } else if (all.amortised.lower >= options_.limit) {
    all.verdict = ImpactVerdict::Exceeded;
    all.reason =
        fmt::format("at least {:.2f} % of the training was lost", 100 * all.amortised.lower);
  } else {
    all.reason = fmt::format(
        "{} blocks bound the loss by {:.2f} % of {:.0f} s of training; evaluations ran for {:.1f} "
        "s",
        all.blocks, 100 * all.amortised.upper, all.training_s, all.running_s);
  }
}

ImpactEstimate TrainingImpact::estimate(double unframed_running_s) const {
  ImpactEstimate all;
  all.training_s = training_s_ + unframed_running_s;
  all.running_s = running_s_ + unframed_running_s;
  all.while_running = sums_.share();
  all.snapshots_s = snapshots_s_;
  all.aborted_s = aborted_lost_s_;
  const double measured = std::max(0.0, running_s_ - aborted_running_s_);
  const double known = snapshots_s_ + aborted_lost_s_;
  all.lost_s_upper = all.while_running.upper * measured + known + unframed_running_s;
  if (all.training_s > 0) {
    all.amortised = {.estimate = (all.while_running.estimate * measured + known) / all.training_s,
                     .lower = (all.while_running.lower * measured + known) / all.training_s,
                     .upper = all.lost_s_upper / all.training_s};
  }
  if (sums_.log_ratios > 0) {
    all.log_ratio = sums_.log_ratio / static_cast<double>(sums_.log_ratios);
  }
  all.blocks = sums_.blocks;
  all.wholly_lost = sums_.wholly_lost;
  all.frames = sums_.frames;
  all.discarded = discarded_;
  all.phases = phases();
  all.negative_control = control_.share();
  all.control_blocks = control_.blocks;
  judge(all);
  return all;
}

}  // namespace keisei::guard
