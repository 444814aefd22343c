#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "guard/frame_timing.h"
#include "guard/hold_outs.h"
#include "guard/impact_budget.h"
#include "guard/stretch.h"
#include "guard/training_impact.h"
#include "telemetry/records.h"
#include "telemetry/step_clock.h"

namespace keisei::guard {

/// What evaluations may do until the next look.
struct ImpactOrder {
  bool run = false;
  bool burst = true;  ///< at full weight; else in the slack class
  bool load = false;  ///< the known load of the positive control runs instead
  MonotonicTime look_again;
};

/// Cuts the training into frames, draws the hold-outs, and decides when evaluations run:
///
///   ImpactObservation -> observe() -> ImpactOrder, FrameRecords -> TrainingImpact -> ImpactBudget
///
/// Evaluations run only in the on-slots of blocks, and a slot begins only where the credit covers
/// it as if everything were lost in it. At full weight while the credit covers what such an
/// evaluation has cost so far, else in the slack class, and there in the phases of the training
/// that lose least. A silence of the training stops them at once. Without evaluations it goes on
/// with blocks that nobody runs in (the negative control), once with blocks of a known load (the
/// positive control), then with long frames. Where evaluations are asked for without a pause, the
/// negative control runs while they are held back for want of credit, and the load has a block
/// between two of them. Pure but for the seed. One thread.
class ImpactController {
 public:
  struct Options {
    double limit = 0.05;  ///< share of the training that may be lost
    std::uint64_t seed = 0;
    std::int64_t supervision = 0;           ///< in its frames; says nothing about the seed
    bool always_slack = false;              ///< never at full weight
    std::optional<double> slack_loss = {};  ///< the first guess
  };
  explicit ImpactController(Options options);

  [[nodiscard]] ImpactOrder observe(const ImpactObservation& seen);
  /// Ends the frame at work, and with it the account: nothing is watched from `seen.now` on.
  void finish(const ImpactObservation& seen);
  /// An evaluation has begun to run, or has ended.
  void note_start() { used_s_ = 0; }
  void note_end();
  /// The frames that have ended since the last call.
  [[nodiscard]] std::vector<telemetry::FrameRecord> take_frames();

  [[nodiscard]] const TrainingImpact& impact() const { return impact_; }
  /// Up to `now`.
  [[nodiscard]] ImpactEstimate estimate(MonotonicTime now) const;
  [[nodiscard]] double credit() const { return budget_.credit(); }
  /// How long until the credit is that much (or full), if nothing runs.
  [[nodiscard]] double seconds_until(double credit) const { return budget_.seconds_until(credit); }
  /// What an ordinary evaluation at full weight would be charged with, to the best of our
  /// knowledge.
  [[nodiscard]] double predicted_charge() const;
  /// A block of the known load is at work, or wants to come before the next evaluation.
  [[nodiscard]] bool load_is_due() const;
  /// Evaluations that were told to stand still have used the CPU in the last frames, five at least.
  [[nodiscard]] bool evaluations_go_on() const;
  /// Who went on was ended: the others are not to answer for it.
  void note_violators_ended() { standing_ = {}; }
  [[nodiscard]] const Options& options() const { return options_; }

 private:
  struct Block {
    std::int64_t id = 0;
    std::int64_t slots = 0;
    std::int64_t hold_out = 0;  ///< 1 .. slots
    std::int64_t next = 1;
    double slot_s = 0;  ///< of each of them: what is lost is summed up in seconds of that
    double cap = 0;
    std::string_view control = {};
  };

  void begin(const Stretch& chosen, const ImpactObservation& seen, double length_s);
  [[nodiscard]] bool over(const ImpactObservation& seen) const;
  void give_up_unwatched(const ImpactObservation& seen);
  void cut_short(const ImpactObservation& seen);
  void close(const ImpactObservation& seen);
  void learn(const telemetry::FrameRecord& frame);
  void next(const ImpactObservation& seen);
  void next_without_demand(const ImpactObservation& seen);
  void end_block(const ImpactObservation& seen);
  void next_with_demand(const ImpactObservation& seen);
  void begin_slot(std::optional<Block>& open, const ImpactObservation& seen);
  void next_with_load(const ImpactObservation& seen);
  [[nodiscard]] Block make_block(std::string_view control = {});
  void start_running(const ImpactObservation& seen, bool load);
  void stop_running(const ImpactObservation& seen);
  void hold(const ImpactObservation& seen);
  void save(const ImpactObservation& seen);
  [[nodiscard]] bool waits_for_phase(const ImpactObservation& seen);
  [[nodiscard]] bool may_load(const ImpactObservation& seen) const;
  [[nodiscard]] bool load_has_a_turn() const;
  [[nodiscard]] bool load_may_go_on(const ImpactObservation& seen) const;
  [[nodiscard]] bool begun_with_load() const {
    return control_block_ && control_block_->control == control::kLoad;
  }
  void next_with_nothing(const ImpactObservation& seen);
  [[nodiscard]] bool affordable() const;
  [[nodiscard]] bool chooses_burst(bool can_slack) const;
  [[nodiscard]] MonotonicTime next_look(const ImpactObservation& seen) const;

  Options options_;
  HoldOuts hold_outs_;
  TrainingImpact impact_;
  ImpactBudget budget_;
  FrameTiming timing_;
  std::vector<telemetry::FrameRecord> frames_;
  std::optional<MonotonicTime> origin_;
  std::optional<Stretch> stretch_;
  MonotonicTime due_look_;      ///< when the next look was to be
  std::optional<Block> block_;  // of evaluations
  std::optional<Block> control_block_;
  std::int64_t number_ = 0;
  std::int64_t blocks_ = 0;
  bool run_ = false;   ///< evaluations, or the load
  bool load_ = false;  ///< it is the load
  bool burst_ = true;
  std::optional<MonotonicTime> since_costly_;  ///< waits for a phase that costs less
  bool load_had_turn_ = false;                 ///< since the last evaluation
  std::optional<double> last_load_;            ///< when its last block began, of training time
  bool sighted_ = false;            ///< at the last look: progress was seen, and all was paced
  bool load_among_others_ = false;  ///< its block began while somebody waited
  bool vetoed_ = false;     ///< evaluations have been told to stand still, whatever `run_` says
  double used_s_ = 0;       ///< in which evaluations ran since one was admitted
  double typical_s_ = 0.5;  ///< the same of a whole evaluation
  std::optional<double> others_;  ///< CPUs, without evaluations
  struct Standing {
    double seconds = 0;
    double cpu = 0;
    int frames = 0;
  };
  Standing standing_;  ///< of evaluations that are to stand still, as far as it is remembered
};

}  // namespace keisei::guard
