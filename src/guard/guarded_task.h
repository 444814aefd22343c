#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "guard/drain.h"
#include "guard/last_resorts.h"
#include "guard/resource_monitor.h"
#include "guard/run_account.h"
#include "guard/soft_limits.h"
#include "guard/training_governor.h"
#include "guard/tree_share.h"
#include "guard/wake_set.h"
#include "os/launcher.h"

namespace keisei::guard {

/// Why a run cannot be started in a process without a free descriptor.
inline constexpr const char* kNoDescriptor =
    "no descriptor is left to watch a run with; raise the open files limit (ulimit -n)";

/// What made somebody call GuardedTask::step(). Both at once is ByDescriptor.
enum class Wake { ByTime, ByDescriptor };

/// One admitted run from start to end, as a state machine without a loop of its own: whoever owns
/// it waits until wait_fd() is readable or next_wake() has come, calls step(), and does so until
/// done(). Every wish of others (a message of the jail, report bytes, a signal) makes wait_fd()
/// readable; its own, the next sample above all, is a time, so that one timer does for all runs.
///
///   start -> [running] -> main process ended, or a breach -> [ending] -> tree gone -> done
///
/// Destruction at any point kills the tree.
class GuardedTask final : public PacedTree {
 public:
  explicit GuardedTask(RunContext context);
  GuardedTask(const GuardedTask&) = delete;
  GuardedTask& operator=(const GuardedTask&) = delete;

  [[nodiscard]] int wait_fd() const { return wake_.fd(); }
  [[nodiscard]] MonotonicTime next_wake() const;
  void step(Wake wake);
  [[nodiscard]] bool done() const { return done_; }
  /// For whoever cannot wait: ends the run at once as StartFailed. Kills the tree and waits for it,
  /// seconds at most.
  void give_up(const std::string& why);
  /// The pidfd of a tree that nothing ended (Unkillable); else none.
  [[nodiscard]] UniqueFd take_survivor() { return std::move(survivor_); }
  /// Once, when done.
  [[nodiscard]] GuardedRun finish();

  // For the training's governor.
  void pace(Pace pace) override;
  [[nodiscard]] double cpu_seconds() override;
  [[nodiscard]] bool can_slack() const override { return share_.can_slack(); }
  void end_for(Ending ending) override;

 private:
  void start();
  [[nodiscard]] os::JailSpec specify_jail();
  void watch_tree(std::optional<Bytes> host_shared_memory);
  void hear_jail(MonotonicTime now);
  void hear(const os::JailEvent& event, MonotonicTime now);
  void hear_report(MonotonicTime now);
  void hear_caller(MonotonicTime now);
  void watch_scratch();
  void look(MonotonicTime now);
  /// The kill does not wait for the text of its `cause`.
  void decide(MonotonicTime now, Outcome outcome, const std::function<std::string()>& cause);
  void begin_ending(MonotonicTime now);
  void give_tree_up();
  void kill_all();
  void conclude(MonotonicTime now);
  void check_end(MonotonicTime now);
  void be_done();
  void govern(MonotonicTime now, double cpu_seconds);
  [[nodiscard]] std::chrono::nanoseconds sample_interval(MonotonicTime now) const;
  [[nodiscard]] MonotonicTime deadline() const;

  const RunContext context_;
  WakeSet wake_;
  Drain report_;
  Drain stderr_;
  os::ProcfsView view_;
  std::optional<ResourceMonitor> monitor_;
  std::optional<SoftLimits> soft_limits_;

  MonotonicTime next_sample_;
  RunFacts facts_;
  std::optional<LastResorts> ending_;  // since the main process ended, or the kill was decided
  UniqueFd survivor_;
  bool scratch_watched_ = false;
  bool done_ = false;
  RunCgroup cgroup_;
  TreeShare share_;
  std::optional<os::Jail> jail_;  // destroyed first, but for what asks about the tree
  std::optional<TrainingGovernor::Attachment> attachment_;
};

}  // namespace keisei::guard
