#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "guard/classify.h"
#include "guard/performance_manager.h"
#include "guard/resource_monitor.h"
#include "guard/run_cgroup.h"
#include "guard/training_governor.h"
#include "os/gpu.h"
#include "os/launcher.h"
#include "os/process_table.h"

namespace keisei::guard {

/// What stays the same over a run. `gpu`, `cgroups` and `governor` may be null.
struct RunContext {
  GuardedCommand command;
  EvaluationLimits limits;  ///< profile defaults filled in
  EvaluationPerformanceSLA sla;
  RunControl& control;
  std::shared_ptr<os::ProcessTable> processes;  ///< a dropped run outlives whoever started it
  os::GpuSampler* gpu = nullptr;
  const CgroupRoom* cgroups = nullptr;
  TrainingGovernor* governor = nullptr;  ///< null: there is no training beside it
  std::chrono::nanoseconds queued{0};

  [[nodiscard]] bool enforced() const { return command.enforcement == Enforcement::Enabled; }
};

/// What a run has come to, gathered while it lasts. Each optional is set once.
struct RunFacts {
  MonotonicTime admitted;
  MonotonicTime ended;  ///< the main process ended, or the kill was decided
  std::optional<os::JailHold> hold = std::nullopt;  ///< nothing: no tree was started
  std::optional<Ending> decided = std::nullopt;     ///< the guard's own decision
  std::optional<Breach> breach = std::nullopt;
  CgroupUse cgroup = {};
  std::optional<Ending> start_failure = std::nullopt;
  std::optional<os::ExitStatus> exit = std::nullopt;
  std::optional<os::TreeUsage> usage = std::nullopt;  ///< the tree is gone
  std::optional<double> kill_ms = std::nullopt;
  std::optional<PerformanceMetrics> metrics = std::nullopt;  ///< nothing: it was never watched
  std::optional<std::chrono::nanoseconds> memory_warning = std::nullopt;  ///< when, since admitted
  std::optional<std::chrono::nanoseconds> timeout_warning = std::nullopt;
  std::chrono::nanoseconds paused{0};
  std::optional<ImpactEstimate> impact = std::nullopt;  ///< at its end
  std::string report = {};
  bool report_overflowed = false;
  std::string stderr_tail = {};
};

/// Adds what the samples did not see. After describe_cgroup(), which takes lines away.
/// `mapped_is_measured`: where not, the tier says in general what is not seen.
void describe_watching(const PerformanceMetrics& metrics, bool mapped_is_measured, Tier& tier);

/// Names the ending and writes the account:
///   facts -> classify, report check, SLA -> GuardRecord
/// No side effect but those of the command's report check.
[[nodiscard]] GuardedRun account_for(const RunContext& context, RunFacts facts);

}  // namespace keisei::guard
