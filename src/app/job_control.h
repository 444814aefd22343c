#pragma once

#include <termios.h>

#include <optional>

#include "guard/performance_manager.h"
#include "guard/run_control.h"
#include "os/front.h"
#include "os/terminal.h"

namespace keisei::app {

/// What is known when a guarded command was stopped.
struct StopFacts {
  int signal = 0;
  bool job_in_foreground = false;  ///< the front's group has the terminal, and not the command's
  bool job_is_ours = false;        ///< the front leads its group: the shell made it for this guard
  bool asked = false;              ///< by Ctrl-Z or a signal to the guard
};

/// GiveTerminal: it wanted to use the terminal, which its job has, so it gets it and goes on.
/// StopFront: the shell sees the job stopped. TakeTerminalBack: whoever shares the job with the
/// guard, a script or a trainer, is not stopped for it, but gets the terminal.
enum class StopAction { GiveTerminal, StopFront, TakeTerminalBack };
[[nodiscard]] StopAction on_stop(const StopFacts& facts);

/// Job control of one guarded command for the shell behind the front: who has the terminal, who is
/// stopped. The guard itself never is, so that every limit holds for a stopped command as well.
/// On the loop thread; `control` outlives it.
class JobControl {
 public:
  JobControl(os::Front front, os::Terminal terminal, guard::RunControl& control);
  JobControl(const JobControl&) = delete;
  JobControl& operator=(const JobControl&) = delete;

  /// In the foreground where the shell's job is there and consists of the guard alone: the other
  /// end of a pipe may need the terminal, and so may a script.
  [[nodiscard]] guard::Session session() const {
    return has_terminal_ ? guard::Session::TerminalForeground : guard::Session::TerminalBackground;
  }
  /// A signal for the command; `running` is false while it waits for its slot.
  void pass(os::PassedSignal signal, bool running);
  /// The terminal is the job's again. Modes of a command that was killed are undone.
  void finish(bool ended_by_itself);

 private:
  void stopped(int signal);
  void suspend();
  void go_on();
  void give_terminal();
  void take_terminal_back();

  const os::Front front_;
  const os::Terminal terminal_;
  guard::RunControl& control_;
  const std::optional<termios> modes_;  ///< nothing where the job began in the background
  bool has_terminal_ = false;
  bool wants_terminal_ = false;
  bool command_stopped_ = false;
  bool front_stopped_ = false;
  bool asked_ = false;
};

}  // namespace keisei::app
