#include "guard/training_impact.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
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
std::optional<double> TrainingImpact::reference_seconds(const Amount& known, const Amount& done) {
  if (known.ticks < kLeastTicks * 0.5) {  // of ticks that fade
    return std::nullopt;
  }
  return known.units > 0 ? done.units * (known.seconds / known.units)
                         : done.ticks * (known.seconds / known.ticks);
}

const TrainingImpact::Amounts& TrainingImpact::reference_for(std::int64_t block) const {
  return block != 0 && block_ && block_->id == block ? block_->reference : reference_;
}

/// Nothing where it cannot be told: no work, or most of it of a kind not seen yet.
std::optional<double> TrainingImpact::rate_of(const Amounts& amounts,
                                              const Amounts& reference) const {
  double length = 0;
  for (const Amount& amount : amounts) {
    length += amount.seconds;
  }
  if (length <= 0 || !has_reference()) {
    return std::nullopt;
  }
  double work = 0;
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    const std::optional<double> seconds = reference_seconds(reference[kind], amounts[kind]);
    if (!seconds && amounts[kind].seconds > kNegligible * length) {
      return std::nullopt;
    }
    work += seconds.value_or(amounts[kind].seconds);
  }
  return work / length;
}

std::optional<double> TrainingImpact::loss_of(const FrameRecord& frame) const {
  const std::optional<double> rate = rate_of(amounts_of(frame), reference_for(frame.block));
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

TrainingImpact::Judged TrainingImpact::judge(const FrameRecord& frame) const {
  Judged judged{.amounts = amounts_of(frame), .rate = std::nullopt, .discarded = frame.discarded};
  judged.rate = rate_of(judged.amounts, reference_for(frame.block));
  double busy = seconds_in(frame, Phase::EvaluationSnapshot);
  for (const Amount& amount : judged.amounts) {
    busy += amount.seconds;
  }
  if (!judged.discarded.empty() || frame.setting == setting::kSwitch) {
    return judged;
  }
  if (busy < kLeastBusy * static_cast<double>(frame.measured_ns) * 1e-9) {
    judged.discarded = "training was idle";
  } else if (!judged.rate && has_reference()) {
    judged.discarded = "no reference for its phase yet";
  }
  return judged;
}

void TrainingImpact::add(const FrameRecord& frame) {
  const double length = static_cast<double>(frame.end_ns - frame.begin_ns) * 1e-9;
  training_s_ += std::max(0.0, length - seconds_in(frame, Phase::Idle));
  snapshots_s_ += seconds_in(frame, Phase::EvaluationSnapshot);
  running_s_ += frame.running ? length : 0;
  silent_s_ += frame.discarded == discard::kNoProgress ? length : 0;
  if (frame.block != 0) {
    open_block(frame);
  }
  const Judged judged = judge(frame);
  if (!judged.discarded.empty()) {
    ++discarded_[judged.discarded];
  }
  const bool counts = judged.rate && judged.discarded.empty();
  const bool in_block = counts && frame.block != 0 && frame.setting == setting::kOn;
  if (frame.running && !in_block) {
    unsettled_.add(length, judged.rate ? 1 - *judged.rate : 1);
  }
  if (frame.block != 0) {
    take_slot(frame, judged);
  }
  if (!frame.running && frame.setting != setting::kSwitch && frame.discarded.empty() &&
      judged.discarded != "training was idle") {
    take_reference(judged.amounts);
  }
}

void TrainingImpact::open_block(const FrameRecord& frame) {
  if (block_ && block_->id != frame.block) {
    give_up_block();
  }
  if (!block_) {
    block_ = Block();
    block_->id = frame.block;
    block_->cap = frame.cap;
    block_->placebo = frame.placebo;
    block_->reference = reference_;
  }
}

void TrainingImpact::take_slot(const FrameRecord& frame, const Judged& judged) {
  Block& block = *block_;
  const bool counts = judged.rate && judged.discarded.empty();
  if (counts && !frame.running) {
    const double gain = *judged.rate - 1;
    const double keep = spread_frames_ < kSpreadMemory ? spread_frames_ / (spread_frames_ + 1.0)
                                                       : 1 - 1 / kSpreadMemory;
    spread_ = keep * spread_ + (1 - keep) * gain * gain;
    ++spread_frames_;
  }
  if (counts && frame.setting == setting::kOff) {
    block.off_gain = *judged.rate - 1;
    block.off = judged.amounts;
  } else if (counts && frame.setting == setting::kOn) {
    block.burst = frame.burst;
    const auto length = static_cast<double>(frame.end_ns - frame.begin_ns);
    const auto planned = static_cast<double>(std::max<std::int64_t>(frame.planned_ns, 1));
    block.frames.push_back({.seconds = length * 1e-9,
                            .weight = length / planned,
                            .loss = std::max(1 - *judged.rate, -kLargestGain)});
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      block.on[kind].seconds += judged.amounts[kind].seconds;
      block.on[kind].ticks += judged.amounts[kind].ticks;
      block.on[kind].units += judged.amounts[kind].units;
    }
  }
  if (frame.slot == frame.slots) {
    settle_block();
  }
}

void TrainingImpact::settle_block() {
  if (!block_->off_gain || block_->frames.empty()) {
    return give_up_block();
  }
  const Block block = *std::exchange(block_, std::nullopt);
  Sums& sums = block.placebo ? control_ : sums_;
  const double before = sums.loss;
  settle(sums, block);
  if (!block.placebo) {
    count_phases(block);
    count_class(block, sums.loss - before);
  }
}

/// What was seen in it counts, and is no draw of the design: it may have been given up because of
/// what was seen.
void TrainingImpact::give_up_block() {
  const Block block = *std::exchange(block_, std::nullopt);
  if (block.placebo) {
    return;
  }
  double loss = 0;
  for (const OnFrame& frame : block.frames) {
    unsettled_.add(frame.seconds, frame.loss);
    loss += frame.weight * std::max(frame.loss, 0.0);
  }
  count_class(block, loss);
}

void TrainingImpact::count_class(const Block& block, double loss) {
  ClassLoss& known = by_class_[block.burst ? 1 : 0];
  known.loss += loss;
  for (const OnFrame& frame : block.frames) {
    known.frames += frame.weight;
  }
}

void TrainingImpact::Unsettled::add(double length, double share) {
  const double bin = std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(kBins));
  seconds[static_cast<std::size_t>(bin)] += length;
}

double TrainingImpact::Unsettled::lost(double floor) const {
  double sum = 0;
  for (std::size_t bin = 0; bin <= kBins; ++bin) {
    sum += seconds[bin] * std::max(floor, static_cast<double>(bin) / static_cast<double>(kBins));
  }
  return sum;
}

double TrainingImpact::Unsettled::total() const {
  return std::accumulate(seconds.begin(), seconds.end(), 0.0);
}

void TrainingImpact::settle(Sums& sums, const Block& block) const {
  double weight = 0;
  double work = 0;  // in frames of the reference: what its error applies to
  double on_loss = 0;
  for (const OnFrame& frame : block.frames) {
    weight += frame.weight;
    work += frame.weight * std::min(1 - frame.loss, 1.0);
    on_loss += frame.weight * frame.loss;
    sums.seconds += frame.seconds;
  }
  const double gain = *block.off_gain;
  // The longer its frames, the less a hold-out may be off; what is too long for that is bounded
  // alone.
  const double drawn = std::min(work, static_cast<double>(kMostSlots - 1));
  const double slots = drawn + 1;
  const double cap = std::min(block.cap, 1 / slots);
  const double beyond = (work - drawn) * block.cap;
  ++sums.blocks;
  sums.frames += static_cast<std::int64_t>(block.frames.size());
  sums.weight += weight;
  sums.loss += on_loss + work * gain;
  // Clipped on the far side too: a hold-out that stood still must not buy, nor cost, hours.
  const double upper_gain = std::max(gain, -2 * cap);
  const double upper_loss = on_loss + drawn * upper_gain + beyond;
  if (gain > cap) {
    ++sums.wholly_lost;
  }
  sums.upper_loss += gain > cap ? std::max(upper_loss, weight) : upper_loss;
  sums.upper.add(std::min(1.0, slots * std::min(upper_gain, cap)));
  const double lower_gain = std::min(gain, 2 * cap);
  const double lower_loss = on_loss + drawn * lower_gain - beyond;
  sums.lower_loss += gain < -cap ? std::min(lower_loss, 0.0) : lower_loss;
  sums.lower.add(std::min(1.0, -slots * std::max(lower_gain, -cap)));
  const double on_rate = 1 - on_loss / weight;
  if (on_rate > 0 && gain > -1) {
    sums.log_ratio += std::log(on_rate / (1 + gain));
    ++sums.log_ratios;
  }
}

void TrainingImpact::count_phases(const Block& block) {
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    const std::optional<double> on = reference_seconds(block.reference[kind], block.on[kind]);
    const std::optional<double> off = reference_seconds(block.reference[kind], block.off[kind]);
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
  if (blocks == 0) {
    return {.estimate = 0, .lower = 0, .upper = 1};
  }
  return {.estimate = loss / weight,
          .lower = (lower_loss - lower.slack()) / weight,
          .upper = std::min(1.0, (upper_loss + upper.slack()) / weight)};
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

double TrainingImpact::upper_while_running() const { return std::max(0.0, sums_.share().upper); }

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

void TrainingImpact::conclude(ImpactEstimate& all) const {
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
  Unsettled unsettled = unsettled_;
  if (block_ && !block_->placebo) {  // not complete yet
    for (const OnFrame& frame : block_->frames) {
      unsettled.add(frame.seconds, frame.loss);
    }
  }
  all.unsettled_s = unsettled.total();
  // An evaluation makes nobody faster: no credit is taken from what looks like it.
  const double upper = std::max(0.0, all.while_running.upper);
  all.lost_s_upper =
      upper * sums_.seconds + unsettled.lost(upper) + snapshots_s_ + unframed_running_s;
  if (all.training_s > 0) {
    all.amortised = {
        .estimate =
            (all.while_running.estimate * (sums_.seconds + all.unsettled_s) + snapshots_s_) /
            all.training_s,
        .lower = (all.while_running.lower * sums_.seconds + snapshots_s_) / all.training_s,
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
  conclude(all);
  return all;
}

}  // namespace keisei::guard
