#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "guard/limits.h"
#include "guard/outcome.h"
#include "guard/performance_sla.h"
#include "guard/pressure.h"
#include "guard/pressure_watch.h"
#include "guard/record.h"
#include "guard/run_control.h"
#include "os/gpu.h"

namespace keisei::guard {

/// `fd` of this process becomes `child_fd` of the command. Not owned.
struct InheritedFd {
  int fd = -1;
  int child_fd = -1;  ///< 0 to kLargestChildFd
};
inline constexpr int kLargestChildFd = 199;
inline constexpr std::size_t kMostInheritedFds = 24;  ///< with what a worker gets from us

/// Burst: full weight. Slack: only what the training leaves over (SCHED_IDLE, autogroup 19).
enum class Scheduling { Burst, Slack };

/// Disabled measures and still ends the whole tree, but holds no limit; the record says so.
enum class Enforcement { Enabled, Disabled };

/// Bare does without namespaces, as a kernel that has none; for showing what then still holds.
enum class Containment { Best, Bare };

/// What an accepted report holds: all that was asked for, or what was done when a warning came.
enum class ReportKind { Complete, Partial };

/// Mechanisms that a run does without, as on a host that lacks them; for showing what then still
/// holds. Without a mount namespace there is no scratch.
struct Without {
  bool user_namespace = false;
  bool mount_namespace = false;
  bool network_namespace = false;
  bool landlock = false;
  bool seccomp = false;
};

/// Own: a new session, without a terminal. The others stay in this process's session, in a process
/// group of their own, which has its terminal at once or when RunControl::give_terminal says so.
enum class Session { Own, TerminalBackground, TerminalForeground };

struct GuardedCommand {
  std::vector<std::string> argv;         ///< argv[0] is searched in PATH when it has no slash
  std::vector<std::string> environment;  ///< the whole environment, as NAME=value
  Profile profile = Profile::Worker;
  /// Of 0, 1 and 2, those not named here are /dev/null for a worker, inherited for a command.
  std::vector<InheritedFd> fds;
  std::optional<int> report_fd;  ///< the command writes its report there and closes it
  Bytes report_limit = megabytes(16);
  /// Reads a report of a command that ended well; its error makes the outcome BadReport. Partial is
  /// believed only of a run that was warned (os/warning.h). Runs on a thread of the manager, never
  /// two at once, while the loop goes on.
  std::function<Result<ReportKind>(std::string_view)> report_check;
  bool capture_stderr = false;  ///< fd 2 is a pipe whose last 4 KB are kept
  Session session = Session::Own;
  int threads = 1;  ///< that it computes with, as far as known: of the machine's load they are ours
  Scheduling scheduling = Scheduling::Burst;
  Enforcement enforcement = Enforcement::Enabled;
  Containment containment = Containment::Best;
  Without without = {};
  /// Size of a worker's own /dev/shm, which is its TMPDIR too and goes with it.
  Bytes scratch = megabytes(64);
  PressureResponse pressure = PressureResponse::Ignore;  ///< Ignore without enforcement
  /// Makes the command smaller for a level below Full. Awaited on the loop once, after admission
  /// and before the start; its error makes the outcome StartFailed. Without it a run that degrades
  /// can only be deferred and rejected.
  std::function<boost::asio::awaitable<Result<void>>(GuardedCommand&, ServiceLevel)> adapt = {};
};

struct GuardedRun {
  GuardRecord record;
  std::string report;       ///< what came over report_fd, complete only for Finished and Partial
  std::string stderr_tail;  ///< at most the last 4 KB
};

class TrainingGovernor;

/// What the manager reads of its host, and the training beside which runs go, if there is one.
struct HostView {
  HostPressure pressure = {};
  os::GpuSources gpu = {};
  TrainingGovernor* training = nullptr;  ///< outlives the manager; on the same loop
};

/// The one road on which anything is evaluated:
///   admission (slot, pressure) -> adapt -> jail -> watch -> (kill of the whole tree) -> reap ->
///   slot and descriptors back
/// Used by one thread at a time, that of the executor's loop. The loop outlives this, and its
/// thread waits for nothing that a run is to do: a tree of many processes that grows near its
/// memory limit stands still without it.
class EvaluationPerformanceManager {
 public:
  /// `slots_directory` is made when missing; processes that name the same one share
  /// `limits.max_concurrent`. Empty: only this object's runs are counted. The limits must be valid.
  EvaluationPerformanceManager(boost::asio::any_io_executor executor, EvaluationLimits limits,
                               EvaluationPerformanceSLA sla, std::filesystem::path slots_directory,
                               HostView host = {});
  ~EvaluationPerformanceManager();
  EvaluationPerformanceManager(const EvaluationPerformanceManager&) = delete;
  EvaluationPerformanceManager& operator=(const EvaluationPerformanceManager&) = delete;

  /// Runs the command to its end, whatever that is; never throws. When it returns, no process of
  /// the tree, no descriptor and no slot is left (only Unkillable leaves a tree, and its slot stays
  /// taken until that is gone). `control` may end the run early and outlives it. Dropping the
  /// coroutine kills the tree.
  [[nodiscard]] boost::asio::awaitable<GuardedRun> run_evaluation_with_safeguards(
      GuardedCommand command, RunControl& control);

  [[nodiscard]] int running() const;
  [[nodiscard]] int queued() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace keisei::guard
