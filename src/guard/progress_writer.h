#pragma once

namespace keisei::guard {

/// Whether a process is who writes a progress file. The file says so itself, but with a number: of
/// a trainer in another PID namespace (a container) it names somebody else here.
enum class WritesProgress {
  Yes,      ///< it has that very file mapped, shared and writable
  No,       ///< it has not
  Unknown,  ///< it may not be looked at: another user's
};

/// `process`: a descriptor of the directory /proc/PID; `progress`: of the file. Reads once what is
/// mapped there and here; about a millisecond for a large process.
[[nodiscard]] WritesProgress writes_progress(int process, int progress);

}  // namespace keisei::guard
