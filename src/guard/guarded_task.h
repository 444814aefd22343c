#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "guard/classify.h"
#include "guard/cpu_governor.h"
#include "guard/drain.h"
#include "guard/performance_manager.h"
#include "guard/resource_monitor.h"
#include "os/launcher.h"

namespace keisei::guard {

/// Why a run cannot be started in a process without a free descriptor.
inline constexpr const char* kNoDescriptor =
    "no descriptor is left to watch a run with; raise the open files limit (ulimit -n)";

/// One admitted run from start to end, as a state machine without a loop of its own: whoever owns
/// it waits until wait_fd() is readable, calls step(), and does so until done(). Every wish (a
/// message of the jail, report bytes, a signal, the next sample) makes wait_fd() readable.
///
///   start -> [running] -> main process ended, or a breach -> [ending] -> tree gone -> done
///
/// Destruction at any point kills the tree.
class GuardedTask {
 public:
  /// What stays the same over the run. `gpu` may be null.
  struct Context {
    GuardedCommand command;
    EvaluationLimits limits;  ///< profile defaults filled in
    EvaluationPerformanceSLA sla;
    RunControl& control;
    os::GpuSampler* gpu = nullptr;
    std::chrono::nanoseconds queued{0};
  };
  explicit GuardedTask(Context context);

  [[nodiscard]] int wait_fd() const { return epoll_.get(); }
  void step();
  [[nodiscard]] bool done() const { return done_; }
  /// For whoever cannot wait: ends the run at once as StartFailed. Kills the tree and waits for it,
  /// seconds at most.
  void give_up(const std::string& why);
  /// Once, when done.
  [[nodiscard]] GuardedRun finish();

 private:
  void start();
  [[nodiscard]] bool watch(int fd);
  void arm(MonotonicTime next);
  void hear_jail(MonotonicTime now);
  void hear_caller(MonotonicTime now);
  void look(MonotonicTime now);
  void govern_cpu(MonotonicTime now, double cpu_seconds);
  void resume(MonotonicTime now);
  void decide(MonotonicTime now, Ending ending);
  void check_end(MonotonicTime now);
  [[nodiscard]] std::chrono::nanoseconds sample_interval(MonotonicTime now) const;
  [[nodiscard]] MonotonicTime deadline() const;
  [[nodiscard]] MonotonicTime next_wake() const;
  [[nodiscard]] Ending name_ending() const;
  [[nodiscard]] PerformanceMetrics final_metrics() const;
  [[nodiscard]] bool enforced() const {
    return context_.command.enforcement == Enforcement::Enabled;
  }

  const Context context_;
  const MonotonicTime admitted_;
  UniqueFd epoll_;
  UniqueFd timer_;
  Drain report_;
  Drain stderr_;
  os::ProcfsView view_;
  std::optional<ResourceMonitor> monitor_;
  std::optional<CpuGovernor> governor_;

  MonotonicTime next_sample_;
  std::optional<MonotonicTime> paused_since_;
  double cpu_when_paused_ = 0;
  std::chrono::nanoseconds paused_{0};

  // How it ends; each is set once.
  std::optional<MonotonicTime> ending_since_;  // the main process ended, or the kill was decided
  std::optional<Ending> decided_;              // the guard's own decision
  std::optional<Breach> breach_;
  std::optional<Ending> start_failure_;
  std::optional<os::ExitStatus> exit_;
  std::optional<os::TreeUsage> usage_;  // the tree is gone
  std::optional<double> kill_ms_;
  MonotonicTime ended_;
  bool last_resort_ = false;
  bool done_ = false;
  std::optional<os::Containment> containment_;
  std::optional<os::Jail> jail_;  // last: destroyed first
};

}  // namespace keisei::guard
