#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/units.h"

namespace keisei::guard {

/// What an evaluation gets of what it asked for, from all to nothing. OneThread has fewer games
/// too.
enum class ServiceLevel { Full, FewerGames, OneThread, Deferred, Rejected };
[[nodiscard]] std::string_view to_string(ServiceLevel level);  ///< «full», «fewer_games», ...

/// A level that a run was put on before it started, and why. Full: it was taken back.
struct DegradationStep {
  ServiceLevel level = ServiceLevel::Full;
  std::string cause;
  double waited_ms = 0;  ///< on this level before the next one
};

/// How hard the machine is pressed. What this kernel does not tell is absent, and is not judged.
struct PressureSample {
  // PSI (Linux Documentation/accounting/psi.rst): percent of the last 10 s in which some task, or
  // every task, stood still for want of it.
  std::optional<double> cpu_some = std::nullopt;
  std::optional<double> memory_some = std::nullopt;
  std::optional<double> memory_full = std::nullopt;
  std::optional<double> io_full = std::nullopt;
  std::optional<Bytes> available = std::nullopt;  ///< MemAvailable
  std::optional<double> load = std::nullopt;      ///< tasks that ran or waited, mean of a minute
};

/// Reads pressure/{cpu,memory,io}, meminfo and loadavg below `proc`. Never fails: what is missing
/// or makes no sense is absent. Five small reads.
[[nodiscard]] PressureSample sample_pressure(const std::filesystem::path& proc);

/// What the run in question would take, and what of the load is no pressure.
struct PressureDemand {
  Bytes memory;             ///< its limit
  int cores = 1;            ///< of this host
  int trainer_threads = 0;  ///< that compute; all cores full of them is how it should be
  int own_threads = 0;      ///< of evaluations that run already
};

/// How a run answers pressure.
enum class PressureResponse {
  Ignore,    ///< it always runs at once
  Shortage,  ///< it waits while the machine is about to run out of memory
  Degrade,   ///< every level
};

struct PressureVerdict {
  ServiceLevel level = ServiceLevel::Full;
  std::string cause;  ///< the measure that counts most, with its value and threshold
};

/// Rising: the level that `sample` calls for. Falling: the level that it still justifies, by the
/// lower thresholds that have to be crossed before a level is taken back. Pure.
enum class Trend { Rising, Falling };
[[nodiscard]] PressureVerdict assess(const PressureSample& sample, const PressureDemand& demand,
                                     Trend trend);

/// Whether memory is so short that the kernel may soon end somebody, say the trainer: Full or
/// Deferred. Pure.
[[nodiscard]] PressureVerdict assess_shortage(const PressureSample& sample, Trend trend);

/// Keeps the level from flapping. Worse counts at once, because its measures are means already, or
/// are memory, which does not wait; better counts after kCalm below the lower thresholds. After
/// kStale without a sample it knows nothing and begins anew.
class PressureJudge {
 public:
  static constexpr std::chrono::seconds kCalm{2};    // one more of the kernel's averages
  static constexpr std::chrono::seconds kStale{10};  // the time over which it averages

  [[nodiscard]] PressureVerdict judge(const PressureVerdict& rising, const PressureVerdict& falling,
                                      MonotonicTime now);

 private:
  PressureVerdict held_;
  std::optional<MonotonicTime> last_;
  std::optional<MonotonicTime> calm_since_;
};

}  // namespace keisei::guard
