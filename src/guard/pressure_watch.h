#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "guard/admission.h"
#include "guard/pressure.h"

namespace keisei::guard {

/// Where pressure is read, and what is known about the training beside which runs go.
struct HostPressure {
  std::filesystem::path proc = "/proc";
  int trainer_threads = 0;  ///< that compute at once
  /// From then on a deferred run is Rejected: its snapshot is old news by then.
  std::chrono::nanoseconds longest_deferral = std::chrono::seconds(60);
};

/// The level of this machine, as the runs of one manager see it. Reads at most every 250 ms.
class PressureWatch {
 public:
  explicit PressureWatch(HostPressure host);

  /// `own_threads`: those of the runs that go already.
  [[nodiscard]] PressureVerdict level(PressureResponse response, Bytes memory, int own_threads,
                                      MonotonicTime now);
  [[nodiscard]] const HostPressure& host() const { return host_; }

 private:
  const HostPressure host_;
  const int cores_;
  PressureSample sample_;
  std::optional<MonotonicTime> sampled_;
  PressureJudge degrade_;
  PressureJudge shortage_;
};

/// The way of one run down and up the levels before it starts.
class DegradationTrail {
 public:
  /// Notes `verdict` and says whether the run may go.
  [[nodiscard]] GateAnswer take(const PressureVerdict& verdict,
                                std::chrono::nanoseconds longest_deferral, MonotonicTime now);
  /// The level it starts on.
  [[nodiscard]] ServiceLevel level() const;
  /// The steps so far; empty where it was always on Full. The last one ends `now`.
  [[nodiscard]] std::vector<DegradationStep> steps(MonotonicTime now) const;

 private:
  void enter(ServiceLevel level, std::string cause, MonotonicTime now);

  std::vector<DegradationStep> steps_;
  MonotonicTime since_;                 // of the last step
  std::optional<MonotonicTime> asked_;  // last, while deferred
  std::optional<MonotonicTime> deferred_since_;
};

}  // namespace keisei::guard
