#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/units.h"
#include "guard/outcome.h"
#include "guard/record.h"
#include "os/process.h"

namespace keisei::guard {

/// How a run ended, and one sentence why.
struct Ending {
  Outcome outcome = Outcome::Finished;
  std::string cause;
};

/// What is known when the tree is gone.
struct EndFacts {
  Profile profile = Profile::Worker;
  std::optional<Ending> decided;  ///< the guard killed it, for this
  std::optional<Ending> start_failure;
  std::optional<os::ExitStatus> exit;  ///< of the main process; nothing: killed with its init
  std::optional<Bytes> sampled_peak;   ///< of the tree's memory; nothing: no sample was taken
  /// High-water mark of the largest process, without the file-backed pages that samples saw in it.
  /// It misses nothing between two samples, but may hold file-backed pages that they missed.
  Bytes largest_process;
  /// The most that can have been filled since the last sample; nothing: as much as there is.
  std::optional<Bytes> most_unseen = std::nullopt;
  std::optional<Bytes> memory_limit;  ///< nothing: not enforced
  bool wants_report = false;
  std::string_view report;
  std::string_view stderr_tail;
};

/// The one place that names an ending, reports aside whose content the caller reads. Pure. An
/// abnormal end is OverMemory within 10 % of the memory limit, or where a worker's says bad_alloc:
/// under RLIMIT_DATA the kernel refuses the allocation before any sample can show it. For an exit
/// code the samples alone tell how near the limit was; for a signal also `largest_process`, as far
/// as `most_unseen` can explain it.
[[nodiscard]] Ending classify(const EndFacts& facts);

/// Of a `program` that could not be executed, with errno `error`.
[[nodiscard]] Ending exec_failure(const std::string& program, int error);
/// What a shell answers for it: 127, it is missing; 126, it cannot be executed.
[[nodiscard]] os::ExitStatus status_of_exec_failure(int error);

/// What a process can have filled in `cpu_seconds` of its processors, whatever their number.
[[nodiscard]] Bytes most_filled_in(double cpu_seconds);

}  // namespace keisei::guard
