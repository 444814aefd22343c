#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "guard/calibrated_load.h"
#include "guard/classify.h"
#include "guard/impact_certificate.h"
#include "guard/impact_controller.h"
#include "guard/pressure.h"
#include "guard/trainer_family.h"
#include "guard/watching_account.h"
#include "telemetry/records.h"
#include "telemetry/step_clock.h"

namespace keisei::guard {

enum class Pace { Stop, Slack, Burst };

/// An evaluation that runs: what the governor stops, slows down and ends. On the loop thread.
class PacedTree {
 public:
  virtual ~PacedTree() = default;
  /// Again and again, with the pace that holds from now on.
  virtual void pace(Pace pace) = 0;
  /// Of the whole tree since its start, counted now.
  [[nodiscard]] virtual double cpu_seconds() = 0;
  /// Whether its weight can be lowered and lifted.
  [[nodiscard]] virtual bool can_slack() const = 0;
  virtual void end_for(Ending ending) = 0;
};

/// Protects one training from the evaluations beside it: reads its step clock and everybody's CPU
/// time, and carries out what the ImpactController decides.
///
///   StepClockReader, /proc, PacedTrees -> ImpactObservation -> ImpactController -> pace of every
///   tree
///                                                           -> FrameRecords -> listener
///
/// Used on the loop thread. While it watches, the loop has something to do: stop() ends that.
class TrainingGovernor {
 public:
  struct Options {
    double limit = 0.05;  ///< share of the training that may be lost
    std::uint64_t seed = 0;
    std::int64_t supervision = 0;  ///< in its frames
    bool always_slack = false;     ///< never at full weight, to see what that costs
    /// What an evaluation in the slack class costs a training here, by isolation_test.h: the first
    /// guess, on which no bound rests.
    std::optional<double> slack_loss = {};
    std::function<void(telemetry::FrameRecord)> on_frame = {};
  };
  TrainingGovernor(const boost::asio::any_io_executor& executor, Options options);
  ~TrainingGovernor();
  TrainingGovernor(const TrainingGovernor&) = delete;
  TrainingGovernor& operator=(const TrainingGovernor&) = delete;

  /// From now on this is the training's progress. Begins to watch. `process`: the trainer, where
  /// the clock does not name it (it was made by us: then nobody's CPU time tells that others
  /// disturb it).
  void watch(telemetry::StepClockReader clock, std::optional<pid_t> process = {});
  /// The same of a training that reports none, or whose process is not known (`why`: the reason
  /// that every estimate gets): evaluations get what the time alone covers.
  void watch_without_progress(std::optional<pid_t> trainer, std::string why = {});
  /// It cannot be read: evaluations get what the time alone covers.
  void lose_clock();
  /// The training has ended: there is nothing to protect any more, and evaluations run freely.
  void release();
  /// No more looks; what runs goes on as it is.
  void stop();

  /// A hand on the governor that may outlive it.
  class Hold {
   public:
    Hold(Hold&& other) noexcept
        : governor_(std::exchange(other.governor_, nullptr)), alive_(std::move(other.alive_)) {}
    Hold& operator=(Hold&&) = delete;
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   protected:
    explicit Hold(TrainingGovernor& governor) : governor_(&governor), alive_(governor.alive_) {}
    ~Hold() = default;
    /// Null where it is gone, or this was moved from.
    [[nodiscard]] TrainingGovernor* governor() const {
      return governor_ != nullptr && *alive_ ? governor_ : nullptr;
    }

   private:
    TrainingGovernor* governor_;
    std::shared_ptr<const bool> alive_;
  };

  /// One evaluation that wants to run, from its request until its tree is gone.
  class Demand : public Hold {
   public:
    explicit Demand(TrainingGovernor& governor) : Hold(governor) { governor.change_demand(1); }
    Demand(Demand&&) noexcept = default;
    ~Demand() {
      if (governor() != nullptr) {
        governor()->change_demand(-1);
      }
    }
  };

  /// Gives a tree its pace from the moment it is made until it goes; the first at once. A run
  /// without enforcement is only counted.
  class Attachment : public Hold {
   public:
    Attachment(TrainingGovernor& governor, PacedTree& tree) : Hold(governor), tree_(&tree) {
      governor.attach(tree);
    }
    explicit Attachment(TrainingGovernor& governor) : Hold(governor) { governor.change_unpaced(1); }
    Attachment(Attachment&&) noexcept = default;
    ~Attachment() {
      if (governor() == nullptr) {
        return;
      }
      if (tree_ != nullptr) {
        governor()->detach(*tree_);
      } else {
        governor()->change_unpaced(-1);
      }
    }

   private:
    PacedTree* tree_ = nullptr;
  };

  /// Processes that watch evaluations for the supervisor and are no evaluation: what they use is
  /// charged, and no disturbance by others. While it lives; one at a time.
  class Helpers : public Hold {
   public:
    /// `cpu_seconds`: of all of them so far, those that have ended included.
    Helpers(TrainingGovernor& governor, std::function<double()> cpu_seconds) : Hold(governor) {
      governor.helpers_ = std::move(cpu_seconds);
    }
    ~Helpers() {
      if (governor() != nullptr) {
        governor()->helpers_cpu_ += governor()->helpers_();
        governor()->helpers_ = {};
      }
    }
  };

  /// What a run may wait for at most until the training has earned it.
  static constexpr std::chrono::minutes kLongestSaving{10};
  /// Whether one may start now, and as what; Deferred with the reason otherwise, or Rejected where
  /// more is owed than can be earned in that time. One starts when
  /// the credit covers what it may cost, one after the other, so that it need not stand still
  /// half-way. Asked by whoever has all else that it needs.
  [[nodiscard]] PressureVerdict service();
  /// When to ask again after Deferred: soon where there is credit and only its slot is to come.
  [[nodiscard]] std::chrono::nanoseconds ask_again() const;
  /// It starts.
  void note_admitted();
  /// Why the last one that asked was put off; empty where it was not.
  [[nodiscard]] const std::string& deferral() const { return deferral_; }

  /// Up to now.
  [[nodiscard]] ImpactEstimate estimate() const;
  /// Whether it has seen anything of a training yet.
  [[nodiscard]] bool has_watched() const;
  /// What it can claim when it has stopped, with its seed, and without a tier.
  [[nodiscard]] ImpactCertificate certificate() const;
  [[nodiscard]] const ImpactController& controller() const { return controller_; }
  /// CPU seconds of its looks: reading progress and clocks, deciding, stopping and continuing.
  [[nodiscard]] double cpu_seconds() const { return looks_cpu_; }
  [[nodiscard]] double limit() const { return options_.limit; }

 private:
  struct Watched {
    PacedTree* tree;
    std::optional<double> cpu_when_stopped = std::nullopt;
  };

  void change_demand(int by);
  void change_unpaced(int by);
  void attach(PacedTree& tree);
  void detach(PacedTree& tree);
  void mark_stopped(MonotonicTime now);
  void take_frames();
  void begin_watching(std::optional<pid_t> trainer);
  void make_ready(MonotonicTime now);
  [[nodiscard]] double needed_credit() const;
  [[nodiscard]] bool is_beyond_earning() const;
  [[nodiscard]] PressureVerdict service_now();
  [[nodiscard]] ServiceLevel affordable_level() const;
  void look();
  void look_soon();
  void schedule(MonotonicTime at);
  void carry_out(const ImpactOrder& order);
  void end_violators();
  [[nodiscard]] Pace current_pace() const;
  [[nodiscard]] ImpactObservation observe();
  [[nodiscard]] double own_cpu() const;
  void read_cpu(ImpactObservation& seen);

  Options options_;
  ImpactController controller_;
  boost::asio::steady_timer timer_;
  std::optional<telemetry::StepClockReader> clock_;
  UniqueFd machine_;  // /proc/stat
  std::optional<TrainerFamily> trainer_;
  CalibratedLoad load_;
  std::vector<Watched> trees_;
  ImpactOrder order_;
  MonotonicTime stopped_at_;
  double ended_cpu_ = 0;               // of trees that are gone
  int demand_ = 0;                     // trees, and runs that wait for their start
  std::optional<ServiceLevel> ready_;  // as what the next of them may start
  MonotonicTime ready_since_;
  std::optional<MonotonicTime> asked_;  // last, by one that only waits for this
  int starting_ = 0;                    // admitted, and no tree yet
  int unpaced_ = 0;
  bool was_unpaced_ = false;  // since the last look
  WatchingAccount watching_account_;
  std::function<double()> helpers_;
  double helpers_cpu_ = 0;    // of those that are gone
  double looks_cpu_ = 0;      // CPU seconds of look()
  MonotonicTime busy_until_;  // with what an evaluation has left to do
  bool was_at_work_ = false;
  std::string unproven_because_;
  std::string deferral_;
  bool watching_ = false;
  bool released_ = false;
  bool looking_ = false;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

/// A seed that nobody can guess.
[[nodiscard]] std::uint64_t random_seed();

}  // namespace keisei::guard
