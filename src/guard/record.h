#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "guard/gpu_account.h"
#include "guard/impact_certificate.h"
#include "guard/limits.h"
#include "guard/outcome.h"
#include "guard/performance_sla.h"
#include "guard/pressure.h"
#include "guard/training_impact.h"

namespace keisei::guard {

/// `Worker` is for evaluations that Keisei starts (everything is shut). `Command` is for anybody's
/// command: lifetime, time, memory, processes and scheduling; files and network are left alone.
enum class Profile { Worker, Command };
[[nodiscard]] std::string_view to_string(Profile profile);

/// How the main process ended; neither is set where it never started or was killed with its tree.
struct ExitRecord {
  std::optional<int> code = std::nullopt;
  std::optional<int> signal = std::nullopt;
};

/// What held this run, what only measured it, and what nothing did.
struct Tier {
  std::vector<std::string> enforced;
  std::vector<std::string> not_enforced;
};

/// What the kernel counted where the run had a cgroup of its own.
struct CgroupRecord {
  std::optional<Bytes> memory_peak;  ///< page cache and kernel memory included
  std::int64_t oom_kills = 0;
  std::int64_t refused_tasks = 0;  ///< forks beyond pids.max
  double throttled_ms = 0;         ///< by cpu.max, summed over cores
};

/// The account of one guarded run, as in docs/cli.md.
struct GuardRecord {
  Outcome outcome = Outcome::StartFailed;
  std::string cause;  ///< one sentence for people; empty for Finished
  ExitRecord exit;
  std::optional<Breach> breach = std::nullopt;  ///< set when a limit ended the run
  double latency_ms = 0;  ///< from admission to report (or to the end without one)
  double queue_ms = 0;
  double paused_ms = 0;
  /// When the run was told, once, that it was at 80 % of this limit; nothing: never.
  std::optional<double> memory_warning_ms = std::nullopt;
  std::optional<double> timeout_warning_ms = std::nullopt;
  Bytes peak_memory;
  double cpu_seconds = 0;
  /// From and to block devices, by the whole tree; nothing where the kernel does not tell.
  std::optional<Bytes> io_read = std::nullopt;
  std::optional<Bytes> io_written = std::nullopt;
  int max_processes = 0;
  int max_threads = 0;
  std::optional<double> kill_ms =
      std::nullopt;  ///< from the decision to kill until the whole tree was gone
  std::optional<GpuRecord> gpu = std::nullopt;
  std::optional<CgroupRecord> cgroup = std::nullopt;  ///< nothing: not used
  /// Over all evaluations of its supervisor, up to its end or until it was refused; nothing: no
  /// training is watched.
  std::optional<ImpactEstimate> impact = std::nullopt;
  /// Of a supervision that ends with this run: also its seed and what its controls say.
  std::optional<ImpactCertificate> certificate = std::nullopt;
  SlaReport sla;
  Profile profile = Profile::Worker;
  Tier tier;
  EvaluationLimits limits;                   ///< as enforced, profile defaults filled in
  std::vector<DegradationStep> degradation;  ///< before it started; empty: always full service
  bool enforcement = true;                   ///< false: limits were switched off by an explicit key
};

/// One JSON object; keys as in docs/cli.md.
[[nodiscard]] std::string to_json(const GuardRecord& record);

}  // namespace keisei::guard
