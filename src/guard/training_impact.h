#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guard/block_sums.h"
#include "guard/phase_losses.h"
#include "guard/work_reference.h"
#include "telemetry/records.h"
#include "telemetry/step_clock.h"

// What evaluations cost the training beside which they run, from frames of its progress. Pure: the
// same frames in the same order give the same numbers, to the last digit.
//
//   FrameRecord ... -> TrainingImpact::add -> estimate() -> ImpactEstimate (record, certificate)
//                                          -> plan()     -> the next block's design
//
// The training's rate in a frame is the work done in it over its length; the work is what the same
// ticks take, phase by phase, without an evaluation (the reference, from frames without one, with a
// memory of 12 of them). So it is about 1 whatever mix of phases a frame has.
//
// Frames come in blocks of `slots` slots. One slot, drawn at random before the block begins, is a
// hold-out in which every evaluation stands still («off»); in the others they run («on»). With r
// the rates, a block of n on-frames loses the work that the hold-out's rate would have brought
//      n r_off - sum of r_on  =  sum over on-frames of (1 - r_on)  +  n (r_off - 1)     [slots]
// times the length of its slots, which is the same for all of a block and known before it begins.
// The first part is what was seen: bounded by 1 a slot, and never clipped on the side of loss. The
// second corrects the reference by which the work was counted, and is all that is uncertain:
// because the hold-out's place was random, its error is a martingale difference whatever the
// training does (drift, periods, correlated steps), and SumBound bounds the sum of errors at all
// looks at once. (The draw is over slots. Where those of one block differ in length, since a tick
// suddenly takes longer than a slot, it is right only as far as the reference is.) Where a frame
// has many steps no product of two rates is in it: where the machine's speed swings, that would
// count the square of the swing as a loss. A frame counts by its length, since it ends with a tick
// and a loss makes it longer (of one step, which takes as long as it is slow, the square of its
// spread counts as a loss).
//
// What this rests on: that a hold-out is not slowed down by the evaluation that stands still in it
// (what is left after the wash-out: caches, write-back, work queued on a GPU), and that it is not
// faster than the reference by more than `cap`; where it is, its whole block counts as lost. One
// that is slower by more than that makes up, in the bound, only for work that was done.
//
// Time in which evaluations ran, or went on although they were stopped, and that belongs to no
// complete block (switches, discarded frames, blocks given up) is charged with the bound of the
// blocks, or with what was seen if that is more; where nothing could be seen, or progress went
// back, does not add up or was faster than possible, as lost.
//
// A hold-out is slowed down by the supervisor as much as an on-frame is (its looks, the launching
// of evaluations, the reading of their reports), and by what evaluations still use when they are
// told to stand still, so no block shows that. That CPU time is charged as if the training stood
// still in it; the estimate says that it took one of the trainer's processors.
//
// Time in which whoever watches did not run is none of the training's (a machine or a container
// that was stopped for an hour has trained nothing, and lost nothing): what evaluations used of the
// processors in it is charged as above, and nothing else.
//
// What was proven of an hour is not said of a training whose progress has just gone wrong: while it
// is silent, and until it was credible again for some seconds after a jump, more than is possible,
// or a machine that slept, nothing is proven.
//
// Silence of a training that did report progress, with nothing beside it, is no time of the
// training: whoever hangs for an hour has not earned evaluations.
namespace keisei::guard {

namespace setting {
inline constexpr std::string_view kFree = "free";      ///< nobody asked to run
inline constexpr std::string_view kHeld = "held";      ///< somebody asked, and was held back
inline constexpr std::string_view kOff = "off";        ///< a block's hold-out
inline constexpr std::string_view kOn = "on";          ///< evaluations run
inline constexpr std::string_view kSwitch = "switch";  ///< too near to a stop or a start to count
}  // namespace setting

/// What runs in the on-slots of a block in which no evaluation does.
namespace control {
inline constexpr std::string_view kNothing = "nothing";  ///< negative: no loss may be seen
inline constexpr std::string_view kLoad = "load";        ///< positive: a loss must be seen
}  // namespace control

/// Why a frame is discarded, where somebody asks for it.
namespace discard {
inline constexpr std::string_view kNoProgress = "no progress";
inline constexpr std::string_view kUnwatched =
    "nobody watched: the machine, or the guard, stood still";
inline constexpr std::string_view kUnseen = "progress cannot be read, or has not begun";
inline constexpr std::string_view kWentBack = "progress went back";
inline constexpr std::string_view kDoesNotAddUp = "progress does not add up";
inline constexpr std::string_view kTooFast = "progress faster than possible";
inline constexpr std::string_view kDisturbed = "disturbed by other processes";
inline constexpr std::string_view kNotStopped = "an evaluation was not stopped";
}  // namespace discard

/// Within: the bound is below the limit. Exceeded: the loss is surely above it. Unproven: neither.
enum class ImpactVerdict { Within, Exceeded, Unproven };
[[nodiscard]] std::string_view to_string(ImpactVerdict verdict);

/// A known load beside the training: that a loss is seen where there is one.
struct PositiveControl {
  std::int64_t blocks = 0;
  BoundedShare loss;                         ///< as the training's progress shows it
  double load_cpus = 0;                      ///< that the load used
  double trainer_cpus = 0;                   ///< that the trainer used without it
  std::int64_t attempts = 0;                 ///< blocks that were begun
  std::optional<double> trainer_cpu_loss{};  ///< share of its CPU time that the trainer lost
  double lost_s = 0;                         ///< of the training; in what is charged

  [[nodiscard]] bool detected() const { return blocks > 0 && loss.lower > 0; }
  /// The trainer lost CPU time to it, and reports much less, so far.
  [[nodiscard]] bool is_suspicious() const;
  /// The same from so many blocks that it is no accident.
  [[nodiscard]] bool contradicts() const;

  static constexpr std::int64_t kMostBlocks = 40;
};

struct ImpactEstimate {
  double training_s = 0;            ///< watched, but for silence and time in which it was idle
  double running_s = 0;             ///< in which evaluations ran, the time around switches included
  BoundedShare while_running;       ///< of the rate, while evaluations run
  BoundedShare amortised;           ///< of all training time; what the limit is about
  double lost_s_upper = 0;          ///< amortised.upper * training_s: what is charged
  double snapshots_s = 0;           ///< of it, spent by the training thread itself on snapshots
  double watching_s = 0;            ///< of it, for the supervisor's own CPU time
  double standing_s = 0;            ///< of it, for that of evaluations told to stand still
  double unsettled_s = 0;           ///< of running_s, outside of complete blocks
  std::optional<double> log_ratio;  ///< mean of ln(r_on / r_off) over blocks
  std::int64_t blocks = 0;
  std::int64_t wholly_lost = 0;                   ///< blocks whose hold-out was faster than the cap
  std::int64_t frames = 0;                        ///< on-frames in `blocks`
  std::map<std::string, std::int64_t> discarded;  ///< frames, by reason
  std::map<std::string, PhaseImpact> phases;      ///< rollout, update, checkpoint
  BoundedShare negative_control;                  ///< the same without any evaluation: must cover 0
  std::int64_t control_blocks = 0;
  PositiveControl positive_control;
  ImpactVerdict verdict = ImpactVerdict::Unproven;
  std::string reason;  ///< of Unproven and Exceeded
};

class TrainingImpact {
 public:
  struct Options {
    double limit = 0.05;                    ///< of all training time
    double alpha = 0.05;                    ///< of each bound
    std::optional<double> slack_loss = {};  ///< expected before any was seen
  };
  explicit TrainingImpact(Options options);

  /// In the order of their numbers.
  void add(const telemetry::FrameRecord& frame);

  /// `unframed_running_s`: how long evaluations have run since the last frame; all of it may be
  /// lost.
  [[nodiscard]] ImpactEstimate estimate(double unframed_running_s = 0) const;
  [[nodiscard]] BlockPlan plan() const;
  /// Whether enough was seen of a training without evaluations to hold frames against.
  [[nodiscard]] bool has_reference() const { return reference_.known(); }
  /// Most of its progress went back, does not add up or was faster than possible.
  [[nodiscard]] bool is_disbelieved() const;
  /// The loss of one on-frame as far as the reference tells, for a look before its block is over.
  [[nodiscard]] std::optional<double> loss_of(const telemetry::FrameRecord& frame) const;
  /// Loss per second to be expected at that weight; a guess that no bound rests on.
  [[nodiscard]] double expected_loss(bool burst) const;
  [[nodiscard]] double upper_while_running() const;
  [[nodiscard]] BoundedShare while_running() const { return sums_.share(); }
  [[nodiscard]] const PhaseLosses& phase_losses() const { return phases_; }
  [[nodiscard]] double training_s() const { return training_s_; }
  [[nodiscard]] std::int64_t negative_blocks() const { return nothing_.blocks(); }
  [[nodiscard]] std::int64_t load_blocks() const { return load_.blocks(); }
  [[nodiscard]] PositiveControl positive_control() const;
  /// Whether the positive control has neither seen its load yet, nor tried long enough.
  [[nodiscard]] bool wants_load() const;

 private:
  /// Running time outside of complete blocks, by the share that was seen to be lost in it.
  struct Unsettled {
    static constexpr std::size_t kBins = 64;
    std::array<double, kBins + 1> seconds = {};

    void add(double length, double share);
    /// With at least `floor` of each second.
    [[nodiscard]] double lost(double floor) const;
    [[nodiscard]] double total() const;
  };
  struct Block {
    std::int64_t id = 0;
    std::string control;
    bool burst = true;
    WorkReference reference;  // as it was when the block began
    ImpactBlock seen;
    Amounts on{};
    Amounts off{};
  };
  struct ClassLoss {
    double loss = 0;  // seconds
    double seconds = 0;
  };

  /// What held when the block of that id began, or now.
  [[nodiscard]] const WorkReference& reference_for(std::int64_t block) const;
  struct Judged {
    Amounts amounts;
    std::optional<double> rate;  // nothing: it cannot be told
    std::string discarded;       // why it does not count; or empty
  };
  [[nodiscard]] Judged judge(const telemetry::FrameRecord& frame) const;
  void count_time(const telemetry::FrameRecord& frame);
  void note_faults(const telemetry::FrameRecord& frame, const Judged& judged);
  void open_block(const telemetry::FrameRecord& frame);
  void take_slot(const telemetry::FrameRecord& frame, const Judged& judged);
  void settle(std::optional<Block>& open);
  void give_up(std::optional<Block>& open);
  /// Blocks of controls come between the slots of one of evaluations.
  [[nodiscard]] std::optional<Block>& open_for(const telemetry::FrameRecord& frame) {
    return frame.control.empty() ? block_ : control_block_;
  }
  void count_class(const Block& block, double loss);
  void count_load(const telemetry::FrameRecord& frame, const Judged& judged);
  void conclude(ImpactEstimate& all) const;

  Options options_;
  BlockSums sums_;
  BlockSums nothing_;
  BlockSums load_;
  std::optional<Block> block_;  // of evaluations
  std::optional<Block> control_block_;
  WorkReference reference_;
  double spread_ = 0;  // twice the mean square by which a hold-out was faster than 1
  int spread_frames_ = 0;
  double training_s_ = 0;
  double running_s_ = 0;
  double silent_s_ = 0;               // without progress
  double disbelieved_s_ = 0;          // with such that is not believed
  double left_out_s_ = 0;             // of silent_s_, not in training_s_
  double unwatched_s_ = 0;            // of left_out_s_
  std::optional<std::string> fault_;  // why its progress is not to be believed now
  double credible_in_s_ = 0;          // after so much of it that is
  double snapshots_s_ = 0;
  double watching_s_ = 0;
  double standing_s_ = 0;
  double trainer_cpu_s_ = 0;
  Unsettled unsettled_;
  std::map<std::string, std::int64_t> discarded_;
  std::array<ClassLoss, 2> by_class_{};  // slack, burst
  PhaseLosses phases_;
  struct CpuSums {
    double seconds = 0;
    double load = 0;
    double trainer = 0;
  };
  CpuSums load_on_;
  CpuSums load_off_;
  double load_lost_s_ = 0;
  std::int64_t load_attempts_ = 0;
};

}  // namespace keisei::guard
