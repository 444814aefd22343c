#pragma once

#include <chrono>

#include "base/result.h"
#include "base/units.h"

namespace keisei::os {

/// What the jail tells the worker that it holds.
struct JailHandshake {
  Bytes memory;                      ///< of the whole tree
  std::chrono::nanoseconds timeout;  ///< wall clock from the start
  bool pid_namespace = false;
};

/// The handshake that keisei-jail leaves to a command of the worker profile: a sealed memfd at
/// kHandshakeFd. Fails where there is none, where it is not sealed, or where what it says does not
/// hold for this process (no_new_privs, seccomp, core and data limits). Whoever plays evaluations
/// calls this first and refuses to run without it.
[[nodiscard]] Result<JailHandshake> inherited_handshake();

}  // namespace keisei::os
