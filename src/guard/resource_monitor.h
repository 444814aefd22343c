#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "guard/gpu_account.h"
#include "os/gpu.h"
#include "os/process_view.h"

namespace keisei::guard {

/// One look at a process tree.
struct ResourceSample {
  /// Private memory and shared pages the tree made: each page once above the limit, more often
  /// (never less) below it. File-backed pages and inherited memfds are not in it.
  Bytes memory;
  double cpu_seconds = 0;  ///< of the whole tree since its start, also of what has ended
  int processes = 0;
  int threads = 0;
  bool descriptors_hidden = false;  ///< a process hides its descriptor table: memory is unknown
};

/// The extremes of a whole run.
struct PerformanceMetrics {
  std::optional<double> latency_ms = std::nullopt;
  std::optional<Bytes> peak_memory = std::nullopt;
  Bytes peak_file_backed = {};  ///< of one process: pages that peak_memory does not count
  double cpu_seconds = 0;
  int max_processes = 0;
  int max_threads = 0;
  std::optional<GpuRecord> gpu = std::nullopt;
  std::optional<double> training_impact_percent = std::nullopt;  ///< nothing measures it yet
};

/// Watches the tree below one init.
///   ProcessView -> sample -> ResourceSample (for the judge), PerformanceMetrics (for the record)
/// Cheap probes at every sample; descriptor tables at most every 10 to 50 ms; the exact and dear
/// probe only where the cheap sum is above the limit and may count pages twice. While it stays so,
/// the probe is repeated, with four times its CPU time and at least 20 ms between two of them: a
/// page that is copied at last changes no cheap sum.
class ResourceMonitor {
 public:
  struct Options {
    pid_t root = 0;      ///< the init; not itself counted
    Bytes memory_limit;  ///< sets the pace
    bool descriptors_must_be_readable = false;
    std::unordered_set<std::uint64_t> shared_inodes = {};  ///< memfds that were handed in
  };
  /// `view` outlives the monitor.
  ResourceMonitor(os::ProcessView& view, Options options);

  [[nodiscard]] ResourceSample sample(MonotonicTime now);
  /// Asks about the tree as of the last sample. Does not block.
  void note_gpu(os::GpuSampler& sampler, MonotonicTime now);
  /// How long the tree may go unseen: (limit - used) / 6 GB/s, within 2 to 20 ms.
  [[nodiscard]] std::chrono::nanoseconds next_interval() const;
  /// The tree at the last sample.
  [[nodiscard]] const std::vector<pid_t>& members() const { return members_; }
  [[nodiscard]] const PerformanceMetrics& metrics() const { return metrics_; }

 private:
  struct CheapSum {
    Bytes anonymous;
    Bytes shared;
  };
  void scan_descriptors(MonotonicTime now);
  void count_cpu(ResourceSample& sample);
  [[nodiscard]] CheapSum sum_up(ResourceSample& sample);
  /// What the tree maps of the memfds that were handed in, as it was at most 250 ms ago.
  [[nodiscard]] Bytes inherited(MonotonicTime now);
  [[nodiscard]] Bytes exact();
  [[nodiscard]] Bytes settle(Bytes cheap, MonotonicTime now);

  os::ProcessView& view_;
  const Options options_;
  std::vector<pid_t> members_;
  PerformanceMetrics metrics_;
  GpuAccount gpu_;
  Bytes last_;
  // Descriptor tables, as of the last scan.
  std::optional<MonotonicTime> next_scan_;
  std::vector<os::MemoryFile> files_;  // each inode once, inherited ones left out
  int hidden_in_a_row_ = 0;
  // What the cheap sum counts twice, as of the last exact probe.
  Bytes counted_twice_;
  std::optional<MonotonicTime> exact_at_;   // its end
  std::chrono::nanoseconds exact_cost_{0};  // CPU time
  // Memfds that were handed in.
  Bytes inherited_;
  std::optional<MonotonicTime> next_inherited_;
};

}  // namespace keisei::guard
