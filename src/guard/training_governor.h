#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "guard/classify.h"
#include "guard/impact_controller.h"
#include "guard/pressure.h"
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
    std::function<void(telemetry::FrameRecord)> on_frame = {};
  };
  TrainingGovernor(boost::asio::any_io_executor executor, Options options);
  ~TrainingGovernor();
  TrainingGovernor(const TrainingGovernor&) = delete;
  TrainingGovernor& operator=(const TrainingGovernor&) = delete;

  /// From now on this is the training's progress. Begins to watch.
  void watch(telemetry::StepClockReader clock);
  /// The same of a training that reports none: evaluations get what the time alone covers.
  void watch_without_progress(pid_t trainer);
  /// It cannot be read: evaluations get what the time alone covers.
  void lose_clock() { clock_.reset(); }
  /// The training has ended: there is nothing to protect any more, and evaluations run freely.
  void release();
  /// No more looks; what runs goes on as it is.
  void stop();

  /// One evaluation that wants to run, from its request to its end.
  class Demand {
   public:
    explicit Demand(TrainingGovernor& governor) : governor_(&governor) {
      governor.change_demand(1);
    }
    Demand(Demand&& other) noexcept : governor_(std::exchange(other.governor_, nullptr)) {}
    Demand& operator=(Demand&&) = delete;
    Demand(const Demand&) = delete;
    Demand& operator=(const Demand&) = delete;
    ~Demand() {
      if (governor_ != nullptr) {
        governor_->change_demand(-1);
      }
    }

   private:
    TrainingGovernor* governor_;
  };
  /// Whether one may start now, and as what; Deferred with the reason otherwise. One starts when
  /// the credit covers what it may cost, one after the other, so that it need not stand still
  /// half-way.
  [[nodiscard]] PressureVerdict service() const;

  /// Until detach() the tree gets its pace from here; the first at once.
  void attach(PacedTree& tree);
  void detach(PacedTree& tree);
  /// A run that nobody may stop, because enforcement is off.
  void change_unpaced(int by) { unpaced_ += by; }

  /// Up to now.
  [[nodiscard]] ImpactEstimate estimate() const;
  [[nodiscard]] const ImpactController& controller() const { return controller_; }
  [[nodiscard]] double limit() const { return options_.limit; }

 private:
  struct Watched {
    PacedTree* tree;
    double cpu_when_stopped = 0;
  };

  void change_demand(int by);
  void begin_watching(pid_t trainer);
  void make_ready(MonotonicTime now);
  [[nodiscard]] double needed_credit() const;
  [[nodiscard]] ServiceLevel affordable_level() const;
  void look();
  void look_soon();
  void schedule(MonotonicTime at);
  void carry_out(const ImpactOrder& order);
  void end_violators();
  [[nodiscard]] Pace current_pace() const;
  [[nodiscard]] ImpactObservation observe();
  [[nodiscard]] double own_cpu() const;
  [[nodiscard]] double others_cpu(double own) const;

  Options options_;
  ImpactController controller_;
  boost::asio::steady_timer timer_;
  std::optional<telemetry::StepClockReader> clock_;
  UniqueFd machine_;  // /proc/stat
  UniqueFd trainer_;  // /proc/PID/stat
  std::vector<Watched> trees_;
  ImpactOrder order_;
  double ended_cpu_ = 0;               // of trees that are gone
  int demand_ = 0;                     // trees, and runs that wait for their start
  std::optional<ServiceLevel> ready_;  // as what the next of them may start
  MonotonicTime ready_since_;
  int unpaced_ = 0;
  bool watching_ = false;
  bool released_ = false;
  bool looking_ = false;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

/// A seed that nobody can guess.
[[nodiscard]] std::uint64_t random_seed();

}  // namespace keisei::guard
