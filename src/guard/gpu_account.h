#pragma once

#include <sys/types.h>

#include <optional>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "os/gpu_reading.h"

namespace keisei::guard {

/// What one run used of the GPUs.
struct GpuRecord {
  double utilization_percent = 0;  ///< the highest that was read, on the device used most
  bool device_wide = true;         ///< everybody's work, not only this run's share
  /// The run's own share, the highest that was read; nothing: it was never told.
  std::optional<double> own_percent = std::nullopt;
  bool complete = true;  ///< false: at times nobody could tell, so that it may be more
  std::optional<Bytes> memory = std::nullopt;  ///< the highest that was read
};

/// Sums up the readings of one run. Nothing that was asked before it began is counted, and each
/// reading once.
class GpuAccount {
 public:
  /// `members`: the run's processes now.
  void note(const std::optional<os::GpuReading>& reading, const std::vector<pid_t>& members,
            MonotonicTime now);
  /// Nothing where no reading told anything.
  [[nodiscard]] std::optional<GpuRecord> result() const;

 private:
  std::optional<MonotonicTime> since_;
  std::optional<MonotonicTime> last_;
  std::unordered_set<pid_t> tree_;  // seen since the last reading; some have ended
  std::optional<GpuRecord> record_;
  bool complete_ = true;
};

}  // namespace keisei::guard
