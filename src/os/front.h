#pragma once

#include <sys/types.h>

#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"

// A guard must not stop while its command lives, but a shell wants a job that stops on Ctrl-Z. So
// under a terminal there are two processes:
//
//   shell ── front (in the shell's job: may be stopped) ── guard (in a group of its own: never is)
//                     ───signals──>          <──exit code───
//
// The front does nothing but pass on what it is sent and wait. When it is killed, the guard dies
// with it, and the jail with the guard.
namespace keisei::os {

/// The process behind the front, as the guard sees it.
struct Front {
  pid_t pid = -1;
  pid_t group = -1;  ///< the shell's job
  [[nodiscard]] bool leads_its_group() const { return pid == group; }

  void stop() const;
  void go_on() const;
};

/// Where a signal came from before the front passed it on.
enum class SignalOrigin { Terminal, Somebody };

/// Exactly one of the two is set.
struct Split {
  std::optional<int> exit_code;  ///< in the front, which has nothing left to do but to exit with it
  std::optional<Front> front;    ///< in the guard
};

/// Forks. Only where this process has one thread. The guard comes back at once, with every signal
/// of kFrontSignals blocked; the front comes back when the guard has ended. A guard that somebody
/// stops is made to go on.
[[nodiscard]] Result<Split> split_behind_front();

/// A signalfd for what the front passes on, or, without one, for the signals themselves. Blocks
/// them. Never blocks on reading.
[[nodiscard]] Result<UniqueFd> signal_descriptor();

struct PassedSignal {
  int signal = 0;
  SignalOrigin origin = SignalOrigin::Somebody;
};
/// The next one from signal_descriptor(); nothing where there is none now.
[[nodiscard]] std::optional<PassedSignal> next_signal(int descriptor);

}  // namespace keisei::os
