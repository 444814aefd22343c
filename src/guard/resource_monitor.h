#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "guard/gpu_account.h"
#include "guard/hidden_memory.h"
#include "guard/look_pace.h"
#include "guard/training_impact.h"
#include "guard/tree_growth.h"
#include "guard/tree_sums.h"
#include "os/gpu.h"
#include "os/process_view.h"

namespace keisei::guard {

/// One look at a process tree.
struct ResourceSample {
  /// Private memory and shared pages the tree made. Above the limit each page once, but for what
  /// was not read any more when the breach was sure; below it perhaps more often, never less. Of
  /// many processes, above the limit, what each has for itself alone.
  /// File-backed pages and inherited memfds are not in it.
  Bytes memory;
  double cpu_seconds = 0;  ///< of the whole tree since its start, also of what has ended
  int processes = 0;
  int threads = 0;
  std::optional<os::ProcessIo> io = std::nullopt;  ///< nothing where nobody may ask
  // What a worker hides, or might hide, so that `memory` may be more.
  bool descriptors_hidden = false;  ///< a process hides its descriptor table
  Uncounted uncounted = Uncounted::Nothing;
  std::optional<Bytes> growth_of_host = std::nullopt;  ///< with its private memory above the limit
};

/// The extremes of a whole run.
struct PerformanceMetrics {
  std::optional<double> latency_ms = std::nullopt;
  std::optional<Bytes> peak_memory = std::nullopt;
  Bytes peak_file_backed = {};  ///< of one process: pages that peak_memory does not count
  /// CPU time of the tree and its init at the last sample that saw all of its memory; what was
  /// filled later nobody has seen.
  double cpu_seconds_seen = 0;
  double cpu_seconds = 0;
  int max_processes = 0;
  int max_threads = 0;
  std::optional<os::ProcessIo> io = std::nullopt;
  int samples_in_part = 0;         ///< for want of a descriptor not all of the tree could be read
  bool hides_descriptors = false;  ///< a process hid its descriptor table for longer than an exec
  bool hides_mappings = false;     ///< what a process shares could not be read when it was needed
  Uncounted uncounted = Uncounted::Nothing;  ///< at some time
  std::optional<GpuRecord> gpu = std::nullopt;
  std::optional<ImpactEstimate> impact = std::nullopt;  ///< nothing: no training is watched
};

/// Watches the tree below one init.
///   ProcessView -> sample -> ResourceSample (for the judge), PerformanceMetrics (for the record)
/// Cheap probes at every sample; descriptor tables, and what is mapped and in no page table, at
/// least every 2 to 100 ms; the exact and dear probe only where the cheap sum is above the limit
/// and may count pages twice. While it stays so, the probe is repeated, with four times its CPU
/// time and at least 20 ms between two of them: a page that is copied at last changes no cheap sum.
/// Many processes that grow near the limit stand still while the dear things are read: among a
/// hundred of them one may wait 150 ms for a processor with the lock that the reader needs, and the
/// rest take 3 GB/s meanwhile. They go on for as long as they may go unseen and no longer: who has
/// just counted them has had its share of the processor, and may get no more of it before each of
/// them has had its own. Near is what they can take in 3 ms each, 120 MB at least.
/// A tree far from its limit that has not used the processor since the last sample has changed
/// nothing, and its CPU time is all that is read; but for every 500 ms, since others may do
/// something to its memory (khugepaged).
class ResourceMonitor {
 public:
  struct Options {
    pid_t root = 0;                    ///< the init; not itself counted
    Bytes memory_limit;                ///< sets the pace
    bool worker = false;               ///< what it hides, or might hide, counts against it
    unsigned processors = 2;           ///< that the tree can use at once
    bool kernel_holds_memory = false;  ///< a cgroup: what no page table shows is no concern
    /// Shared memory of the host before the run: what stays unknown of a worker's is held to its
    /// growth. Nothing: no one is held to that.
    std::optional<Bytes> host_shared_memory = std::nullopt;
    std::set<os::FileId> shared_files = {};  ///< memfds that were handed in
    /// Between two counts of CPU time, threads and I/O, which nothing but a CPU limit needs often.
    std::chrono::nanoseconds account_rest = std::chrono::milliseconds(100);
    /// Stops the tree: asked of many processes that grow near their limit, while they are counted.
    /// False: it was not stopped.
    std::function<bool()> stop_to_count = {};
    /// Lets it go on, or run, for `lease`: then it stands still until it is told again, at the next
    /// sample, however late that is; zero: for good. Not asked of one that could not be stopped,
    /// nor of one that is found above its limit, which is to end.
    std::function<void(std::chrono::nanoseconds lease)> go_on = {};
  };
  /// `view` outlives the monitor.
  ResourceMonitor(os::ProcessView& view, Options options);

  void watch_scratch(Scratch scratch) { scratch_ = scratch; }

  [[nodiscard]] ResourceSample sample(MonotonicTime now);
  /// Counts CPU time, threads and I/O now: before the tree is killed, or when it has just ended.
  void account();
  /// Whether the last sample was that before it, of a tree that has done nothing meanwhile.
  [[nodiscard]] bool still() const { return still_; }
  /// Asks about the tree as of the last sample. Does not block.
  void note_gpu(os::GpuSampler& sampler, MonotonicTime now);
  /// How long the tree may go unseen, as LookPace has it. It is settled where it has not grown for
  /// 250 ms, no process is new, none hides its descriptors, it is on no lease, and what it has is
  /// known without the growth of the host.
  [[nodiscard]] std::chrono::nanoseconds next_interval() const;
  /// The tree at the last sample.
  [[nodiscard]] const std::vector<pid_t>& members() const { return members_; }
  /// So many of them, the largest first; last those whose memory could not be read.
  [[nodiscard]] std::vector<pid_t> largest_members(std::size_t count) const;
  [[nodiscard]] const PerformanceMetrics& metrics() const { return metrics_; }

 private:
  struct CheapSum {
    Bytes anonymous;
    Bytes shared;
  };
  [[nodiscard]] bool in_scratch(const os::FileId& file) const {
    return scratch_ && file.device == scratch_->device;
  }
  /// CPU times of the root and of the members, in their order.
  using CpuTimes = std::vector<std::chrono::nanoseconds>;
  [[nodiscard]] CpuTimes cpu_times() const;
  [[nodiscard]] bool nothing_done(const CpuTimes& used, MonotonicTime now) const;
  void find_members(CpuTimes used);
  /// At this look, or it would be late at the next.
  [[nodiscard]] bool scan_is_due(MonotonicTime now) const;
  enum class Look { WhenDue, Afresh };
  void scan_descriptors(MonotonicTime now, Look look);
  [[nodiscard]] CheapSum sum_up(ResourceSample& sample);
  void note_hidden(ResourceSample& sample);
  void keep(const ResourceSample& sample);
  /// Of many processes, and with `believed` so near to the limit that they reach it while something
  /// is read that takes long.
  [[nodiscard]] bool may_outrun(Bytes believed) const;
  void let_go_on(bool on_lease, Bytes memory, MonotonicTime now);
  [[nodiscard]] std::chrono::nanoseconds interval_at(Bytes memory) const;
  [[nodiscard]] std::size_t tasks() const;
  /// What the tree maps of the memfds that were handed in, as it was at most 250 ms ago.
  [[nodiscard]] Bytes inherited(MonotonicTime now);
  [[nodiscard]] ExactSum exact(Bytes cheap);
  /// `visible`: what page tables and the scratch have.
  [[nodiscard]] Bytes cheap_sum(const CheapSum& visible) const;
  [[nodiscard]] Bytes net_sum(const CheapSum& visible) const;
  [[nodiscard]] Bytes settle(const CheapSum& visible, MonotonicTime now);

  os::ProcessView& view_;
  const Options options_;
  const LookPace pace_;
  std::vector<pid_t> members_;
  MembersBySize by_size_;  // members with what the cheap probe saw
  PerformanceMetrics metrics_;
  GpuAccount gpu_;
  ResourceSample last_;
  bool still_ = false;
  TreeGrowth growth_;
  bool leased_ = false;  // it stands still unless it is told to go on
  MonotonicTime lease_end_;
  CpuTimes used_;             // before anything else was read for `last_`
  bool members_new_ = false;  // since then: whom they have started is not known
  MonotonicTime next_full_;
  std::optional<Scratch> scratch_;
  Bytes scratch_used_;
  std::optional<MonotonicTime> next_account_;
  int threads_ = 0;                // at the last account
  double reaped_cpu_seconds_ = 0;  // the same: of those that somebody in the tree waited for
  // Descriptor tables, as of the last scan.
  std::optional<MonotonicTime> next_scan_;
  std::vector<os::MemoryFile> files_;  // each inode once, inherited ones left out
  Bytes files_size_;
  int hidden_in_a_row_ = 0;
  HiddenMemory hidden_;  // as of the last scan, too
  // What the cheap sum counts twice, as of the last exact probe.
  Bytes counted_twice_;
  std::optional<MonotonicTime> exact_at_;   // its end
  std::chrono::nanoseconds exact_cost_{0};  // CPU time
  int nearly_above_ = 0;                    // looks in a row that made no exact probe for that
  // Memfds that were handed in.
  Bytes inherited_;
  std::optional<MonotonicTime> next_inherited_;
};

}  // namespace keisei::guard
