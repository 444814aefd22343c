#pragma once

#include <optional>
#include <string_view>

namespace keisei::guard {

/// How a guarded run ended. A closed list: every end is exactly one of these.
enum class Outcome {
  Finished,         ///< ended by itself; a worker also with exit code 0 and an accepted report
  Partial,          ///< a worker finished with fewer games than asked (said by its report's reader)
  TimedOut,         ///< wall clock since the start, stopped time included
  OverMemory,       ///< the whole tree's private memory
  OverProcesses,    ///< the number of processes in the tree
  OverFiles,        ///< a file larger than the file size limit
  ImpactExceeded,   ///< cost the training more than its budget
  PolicyViolation,  ///< did what its profile forbids
  Crashed,          ///< ended abnormally by itself; the record's exit has code or signal
  StartFailed,      ///< the jail or the command could not be started
  BadReport,        ///< report missing, over its size limit or refused by its reader
  TrainerLost,      ///< the training that asked for it is gone
  SupervisorLost,   ///< the supervisor is going away
  Unkillable,       ///< still there 5 s after SIGKILL (in the kernel's hands)
  Cancelled,        ///< somebody asked for the end
  Rejected,         ///< not admitted: the queue was full
};

/// The name as in the enum, as in records.
[[nodiscard]] std::string_view to_string(Outcome outcome);
[[nodiscard]] std::optional<Outcome> parse_outcome(std::string_view text);

}  // namespace keisei::guard
