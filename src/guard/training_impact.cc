#include "guard/training_impact.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "guard/frame.h"

namespace keisei::guard {
namespace {

using telemetry::FrameRecord;
using telemetry::Phase;

constexpr double kSpreadMemory = 64;    // hold-outs after which half of their spread is new
constexpr int kSpreadKnown = 20;        // hold-outs before the spread decides anything
constexpr double kCapInSpreads = 6;     // beyond it a block counts as wholly lost
constexpr double kCapWhereIdle = 3;     // the same where next to nothing is lost
constexpr double kNextToNothing = 0.5;  // of the limit
constexpr double kLargestCap = 0.5;
constexpr double kLargestGain = 0.5;    // of an on-frame: what is faster is not believed
constexpr double kFastest = 3;          // of the reference: beyond it nothing is believed
constexpr double kLeastBusy = 0.5;      // share of a frame in which training was not idle
constexpr double kContradiction = 0.2;  // share of its CPU time that nobody loses unnoticed
constexpr double kTellingCpus = 0.2;    // that a trainer uses at least, for that share to tell
constexpr std::int64_t kTellingBlocks = 20;
constexpr double kMostSilence = 0.5;   // share of the time without progress, in a certificate
constexpr double kDisbelief = 5;       // seconds of progress that makes no sense, before it decides
constexpr double kCredibleAgain = 5;   // seconds without a fault, before anything is Within again
constexpr double kSilence = 2;         // seconds beyond a frame's time
constexpr double kGuessSeconds = 0.8;  // that a guess counts for
constexpr double kBurstGuess = 0.5;    // two threads on two cores take half from each other
constexpr double kSlackGuess = 0.25;   // what a barrier costs beside one idle-class thread

bool is_silent(const FrameRecord& frame) {
  return frame.discarded == discard::kNoProgress || frame.discarded == discard::kUnseen ||
         frame.discarded == discard::kUnwatched;
}

bool is_disbelieved(const FrameRecord& frame) {
  return frame.discarded == discard::kWentBack || frame.discarded == discard::kDoesNotAddUp;
}

/// Whether evaluations, or the load, were at work in it: because they could be, or all the same.
bool were_at_work(const FrameRecord& frame) {
  if (frame.discarded == discard::kUnwatched) {
    return false;  // what they did is in their CPU time
  }
  return frame.running || frame.discarded == discard::kNotStopped ||
         (frame.discarded == discard::kNoProgress && frame.control != control::kLoad &&
          used_cpu(frame));
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
    : options_(options), sums_(options.alpha), nothing_(options.alpha), load_(options.alpha) {}

const WorkReference& TrainingImpact::reference_for(std::int64_t block) const {
  for (const std::optional<Block>* open : {&block_, &control_block_}) {
    if (block != 0 && *open && (*open)->id == block) {
      return (*open)->reference;
    }
  }
  return reference_;
}

std::optional<double> TrainingImpact::loss_of(const FrameRecord& frame) const {
  const std::optional<double> rate = reference_for(frame.block).rate_of(amounts_of(frame));
  return rate ? std::optional(std::max(1 - *rate, -kLargestGain)) : std::nullopt;
}

TrainingImpact::Judged TrainingImpact::judge(const FrameRecord& frame) const {
  Judged judged{.amounts = amounts_of(frame), .rate = std::nullopt, .discarded = frame.discarded};
  if (!guard::is_disbelieved(frame) && adds_up(frame)) {
    judged.rate = reference_for(frame.block).rate_of(judged.amounts);
  }
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
  } else if (frame.running && judged.rate && *judged.rate > kFastest) {
    judged.discarded = discard::kTooFast;
    judged.rate.reset();  // so that it counts as lost
  }
  return judged;
}

void TrainingImpact::count_time(const FrameRecord& frame) {
  const double length = length_s(frame);
  const bool ran = were_at_work(frame);
  const bool unwatched = frame.discarded == discard::kUnwatched;
  const bool sane = adds_up(frame) && !unwatched;
  unwatched_s_ += unwatched ? length : 0;
  if (unwatched || (!ran && frame.discarded == discard::kNoProgress)) {
    left_out_s_ += length;
  } else {
    training_s_ += std::max(0.0, length - (sane ? seconds_in(frame, Phase::Idle) : 0));
  }
  snapshots_s_ += sane ? seconds_in(frame, Phase::EvaluationSnapshot) : 0;
  watching_s_ += frame.watching_cpu;  // below 0 where the kernel's counts are coarse
  trainer_cpu_s_ += std::max(0.0, frame.trainer_cpu);
  if (frame.control != control::kLoad || unwatched) {
    running_s_ += ran ? length : 0;
    standing_s_ += ran ? 0 : std::max(0.0, frame.own_cpu);
  }
  silent_s_ += is_silent(frame) ? length : 0;
  disbelieved_s_ += guard::is_disbelieved(frame) ? length : 0;
}

void TrainingImpact::note_faults(const FrameRecord& frame, const Judged& judged) {
  const bool wrong = guard::is_disbelieved(frame) || frame.discarded == discard::kUnwatched ||
                     judged.discarded == discard::kTooFast;
  // One that was closed early, as the last one is, may just not have had its tick yet.
  const bool waited = length_s(frame) >= static_cast<double>(frame.planned_ns) * 1e-9 + kSilence;
  const bool silent =
      frame.discarded == discard::kUnseen || (frame.discarded == discard::kNoProgress && waited);
  if (wrong || silent) {
    fault_ = judged.discarded;
    credible_in_s_ = wrong ? kCredibleAgain : 0;
  } else if (std::ranges::any_of(frame.ticks, [](std::int64_t ticks) { return ticks > 0; })) {
    credible_in_s_ -= length_s(frame);
    if (credible_in_s_ <= 0) {
      fault_.reset();
    }
  }
}

void TrainingImpact::add(const FrameRecord& frame) {
  count_time(frame);
  if (frame.block != 0) {
    open_block(frame);
  }
  const Judged judged = judge(frame);
  if (!judged.discarded.empty()) {
    ++discarded_[judged.discarded];
  }
  disbelieved_s_ += judged.discarded == discard::kTooFast ? length_s(frame) : 0;
  note_faults(frame, judged);
  const bool counts = judged.rate && judged.discarded.empty();
  const bool in_block = counts && frame.block != 0 && frame.setting == setting::kOn;
  if (frame.control == control::kLoad && frame.discarded != discard::kUnwatched) {
    count_load(frame, judged);
  } else if (were_at_work(frame) && !in_block) {
    unsettled_.add(length_s(frame), judged.rate ? 1 - *judged.rate : 1);
  }
  if (frame.block != 0) {
    take_slot(frame, judged);
  }
  if (!frame.running && frame.setting != setting::kSwitch && frame.discarded.empty() &&
      judged.discarded != "training was idle") {
    reference_.take(judged.amounts);
    phases_.count_free(judged.amounts);
  }
}

void TrainingImpact::open_block(const FrameRecord& frame) {
  std::optional<Block>& open = open_for(frame);
  if (open && open->id != frame.block) {
    give_up(open);
  }
  if (!open) {
    open = Block();
    open->id = frame.block;
    open->seen.cap = frame.cap;
    open->seen.slot_s = static_cast<double>(std::max<std::int64_t>(frame.planned_ns, 1)) * 1e-9;
    open->control = frame.control;
    load_attempts_ += frame.control == control::kLoad ? 1 : 0;
    open->reference = reference_;
  }
}

void TrainingImpact::take_slot(const FrameRecord& frame, const Judged& judged) {
  std::optional<Block>& open = open_for(frame);
  Block& block = *open;
  const bool counts = judged.rate && judged.discarded.empty();
  if (counts && !frame.running) {
    const double gain = *judged.rate - 1;
    const double keep = spread_frames_ < kSpreadMemory ? spread_frames_ / (spread_frames_ + 1.0)
                                                       : 1 - 1 / kSpreadMemory;
    const double faster = std::max(0.0, gain);
    spread_ = keep * spread_ + (1 - keep) * 2 * faster * faster;
    ++spread_frames_;
  }
  if (counts && frame.setting == setting::kOff) {
    block.seen.off_gain = *judged.rate - 1;
    block.off = judged.amounts;
  } else if (counts && frame.setting == setting::kOn) {
    block.burst = frame.burst;
    const double loss = 1 - *judged.rate;
    block.seen.frames.push_back(
        {.seconds = length_s(frame), .seen_loss = loss, .loss = std::max(loss, -kLargestGain)});
    for (std::size_t kind = 0; kind < kWorkKinds; ++kind) {
      block.on[kind].seconds += judged.amounts[kind].seconds;
      block.on[kind].ticks += judged.amounts[kind].ticks;
      block.on[kind].units += judged.amounts[kind].units;
    }
  }
  if (frame.slot == frame.slots) {
    settle(open);
  }
}

void TrainingImpact::settle(std::optional<Block>& open) {
  if (!open->seen.off_gain || open->seen.frames.empty()) {
    return give_up(open);
  }
  const Block block = *std::exchange(open, std::nullopt);
  if (!block.control.empty()) {
    (block.control == control::kLoad ? load_ : nothing_).add(block.seen);
    return;
  }
  phases_.count_block(block.reference, block.burst, block.on, block.off);
  count_class(block, sums_.add(block.seen));
}

/// What was seen in it counts, and is no draw of the design: it may have been given up because of
/// what was seen.
void TrainingImpact::give_up(std::optional<Block>& open) {
  const Block block = *std::exchange(open, std::nullopt);
  if (!block.control.empty()) {
    return;
  }
  double loss = 0;
  for (const OnFrame& frame : block.seen.frames) {
    unsettled_.add(frame.seconds, frame.loss);
    loss += frame.seconds * std::max(frame.loss, 0.0);
  }
  count_class(block, loss);
}

void TrainingImpact::count_class(const Block& block, double loss) {
  ClassLoss& known = by_class_[block.burst ? 1 : 0];
  known.loss += loss;
  for (const OnFrame& frame : block.seen.frames) {
    known.seconds += frame.seconds;
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

double TrainingImpact::upper_while_running() const { return std::max(0.0, sums_.share().upper); }

double TrainingImpact::expected_loss(bool burst) const {
  const ClassLoss& known = by_class_[burst ? 1 : 0];
  const double guess = burst ? kBurstGuess : options_.slack_loss.value_or(kSlackGuess);
  return std::clamp((known.loss + kGuessSeconds * guess) / (known.seconds + kGuessSeconds), 0.0,
                    1.0);
}

BlockPlan TrainingImpact::plan() const {
  BlockPlan plan;
  if (spread_frames_ < kSpreadKnown || upper_while_running() >= options_.limit) {
    return plan;
  }
  // Where time is all that evaluations lack, a block in a thousand may count as lost for shorter
  // hold-outs; where credit is, the bound has to be tight.
  const bool idle = upper_while_running() < kNextToNothing * options_.limit;
  const double cap = std::clamp((idle ? kCapWhereIdle : kCapInSpreads) * std::sqrt(spread_),
                                1.0 / BlockPlan::kMostSlots, kLargestCap);
  plan.slots = std::clamp(static_cast<int>(1 / cap), 2, BlockPlan::kMostSlots);
  plan.cap = 1.0 / plan.slots;
  return plan;
}

/// What it cost is charged as it was seen.
void TrainingImpact::count_load(const FrameRecord& frame, const Judged& judged) {
  const double length = static_cast<double>(frame.end_ns - frame.begin_ns) * 1e-9;
  if (frame.running) {
    const bool seen = judged.rate && judged.discarded.empty();
    load_lost_s_ += length * (seen ? std::clamp(1 - *judged.rate, 0.0, 1.0) : 1);
  }
  if (frame.block != 0 && judged.rate && judged.discarded.empty()) {
    CpuSums& sums = frame.running ? load_on_ : load_off_;
    sums.seconds += length;
    sums.load += frame.own_cpu;
    sums.trainer += frame.trainer_cpu;
  }
}

bool TrainingImpact::wants_load() const {
  return load_attempts_ < PositiveControl::kMostBlocks && !positive_control().detected();
}

PositiveControl TrainingImpact::positive_control() const {
  PositiveControl control{.blocks = load_.blocks(), .loss = load_.share(), .lost_s = load_lost_s_};
  control.attempts = load_attempts_;
  if (load_off_.seconds > 0) {
    control.trainer_cpus = load_off_.trainer / load_off_.seconds;
  }
  if (load_on_.seconds > 0) {
    control.load_cpus = load_on_.load / load_on_.seconds;
  }
  if (load_on_.seconds > 0 && load_off_.trainer > 0) {
    control.trainer_cpu_loss =
        1 - (load_on_.trainer / load_on_.seconds) / (load_off_.trainer / load_off_.seconds);
  }
  return control;
}

bool PositiveControl::is_suspicious() const {
  const double lost_cpu = trainer_cpu_loss.value_or(0);
  return !detected() && trainer_cpus > kTellingCpus && lost_cpu > kContradiction &&
         loss.estimate < lost_cpu / 2;
}

bool PositiveControl::contradicts() const {
  return attempts >= kMostBlocks && blocks >= kTellingBlocks && is_suspicious();
}

bool TrainingImpact::is_disbelieved() const {
  return disbelieved_s_ > kDisbelief && disbelieved_s_ > kMostSilence * training_s_;
}

void TrainingImpact::conclude(ImpactEstimate& all) const {
  const double watched = training_s_ + left_out_s_;
  if (training_s_ <= 0 || silent_s_ + disbelieved_s_ > kMostSilence * watched) {
    all.reason = fmt::format("the training has reported no progress in {:.0f} of {:.0f} s",
                             silent_s_, watched);
    if (unwatched_s_ > 0) {
      all.reason += fmt::format(
          ", in {:.0f} s of which nobody watched (the machine, or the guard, stood still)",
          unwatched_s_);
    }
    if (disbelieved_s_ > 0) {
      all.reason += fmt::format(
          ", and in {:.0f} s such that went back, does not add up or is faster than possible",
          disbelieved_s_);
    }
  } else if (all.amortised.lower >= options_.limit) {
    all.verdict = ImpactVerdict::Exceeded;
    all.reason =
        fmt::format("at least {:.2f} % of the training was lost", 100 * all.amortised.lower);
  } else if (all.positive_control.contradicts()) {
    all.reason = fmt::format(
        "its progress does not measure its work: a load of {:.1f} CPUs took {:.0f} % of its CPU "
        "time, and it reports {:.0f} % of loss",
        all.positive_control.load_cpus, 100 * *all.positive_control.trainer_cpu_loss,
        100 * all.positive_control.loss.estimate);
  } else if (all.control_blocks >= kTellingBlocks &&
             (all.negative_control.lower > 0 || all.negative_control.upper < 0)) {
    all.reason = fmt::format(
        "its negative control, {} blocks in which nothing ran, lies within [{:.2f}, {:.2f}] % of "
        "loss: what blocks show is not evaluations' doing alone",
        all.control_blocks, 100 * all.negative_control.lower, 100 * all.negative_control.upper);
  } else if (fault_) {
    all.reason = *fault_;
  } else if (all.amortised.upper < options_.limit) {
    all.verdict = ImpactVerdict::Within;
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
  all.watching_s = std::max(0.0, watching_s_);
  all.standing_s = standing_s_;
  Unsettled unsettled = unsettled_;
  if (block_) {  // not complete yet
    for (const OnFrame& frame : block_->seen.frames) {
      unsettled.add(frame.seconds, frame.loss);
    }
  }
  all.unsettled_s = unsettled.total();
  // An evaluation makes nobody faster: no credit is taken from what looks like it.
  const double upper = std::max(0.0, all.while_running.upper);
  all.lost_s_upper = upper * sums_.seconds() + unsettled.lost(upper) + snapshots_s_ +
                     all.watching_s + all.standing_s + load_lost_s_ + unframed_running_s;
  if (all.training_s > 0) {
    const double trainer_cpus = std::max(1.0, trainer_cpu_s_ / all.training_s);
    all.amortised = {
        .estimate =
            (all.while_running.estimate * (sums_.seconds() + all.unsettled_s) + snapshots_s_ +
             (all.watching_s + all.standing_s) / trainer_cpus + load_lost_s_) /
            all.training_s,
        .lower = (all.while_running.lower * sums_.seconds() + snapshots_s_) / all.training_s,
        .upper = all.lost_s_upper / all.training_s};
  }
  all.log_ratio = sums_.log_ratio();
  all.blocks = sums_.blocks();
  all.wholly_lost = sums_.wholly_lost();
  all.frames = sums_.frames();
  all.discarded = discarded_;
  all.phases = phases_.all();
  all.negative_control = nothing_.share();
  all.control_blocks = nothing_.blocks();
  all.positive_control = positive_control();
  conclude(all);
  return all;
}

}  // namespace keisei::guard
