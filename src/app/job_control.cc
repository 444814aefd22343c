#include "app/job_control.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace keisei::app {
namespace {

bool is_pipe(int fd) {
  struct stat status = {};
  return fstat(fd, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
}

}  // namespace

StopAction on_stop(const StopFacts& facts) {
  const bool wants_terminal = facts.signal == SIGTTIN || facts.signal == SIGTTOU;
  if (wants_terminal && facts.job_in_foreground) {
    return StopAction::GiveTerminal;
  }
  return facts.job_is_ours || facts.asked ? StopAction::StopFront : StopAction::TakeTerminalBack;
}

JobControl::JobControl(os::Front front, os::Terminal terminal, guard::RunControl& control)
    : front_(front),
      terminal_(std::move(terminal)),
      control_(control),
      modes_(terminal_.foreground() == front_.group ? terminal_.modes() : std::nullopt) {
  has_terminal_ =
      modes_ && front_.leads_its_group() && !is_pipe(STDIN_FILENO) && !is_pipe(STDOUT_FILENO);
  wants_terminal_ = has_terminal_;
  control_.on_stopped([this](int signal) { stopped(signal); });
}

void JobControl::pass(os::PassedSignal signal, bool running) {
  if (signal.signal == SIGCONT) {
    go_on();
  } else if (signal.signal == SIGTSTP && (!running || command_stopped_)) {
    suspend();
  } else if (signal.signal == SIGTSTP) {
    asked_ = true;
    control_.forward_to_group(SIGTSTP);
  } else if (signal.origin == os::SignalOrigin::Terminal) {
    control_.forward_to_group(signal.signal);  // as the terminal does
  } else {
    control_.forward_signal(signal.signal);
  }
}

void JobControl::stopped(int signal) {
  command_stopped_ = true;
  const StopFacts facts{.signal = signal,
                        .job_in_foreground = terminal_.foreground() == front_.group,
                        .job_is_ours = front_.leads_its_group(),
                        .asked = asked_};
  switch (on_stop(facts)) {
    case StopAction::GiveTerminal:
      return give_terminal();
    case StopAction::StopFront:
      return suspend();
    case StopAction::TakeTerminalBack:
      return take_terminal_back();
  }
}

void JobControl::give_terminal() {
  has_terminal_ = true;
  wants_terminal_ = true;
  command_stopped_ = false;
  control_.give_terminal();
  control_.forward_to_group(SIGCONT);
}

void JobControl::take_terminal_back() {
  if (has_terminal_) {
    terminal_.set_foreground(front_.group);
    has_terminal_ = false;
  }
}

void JobControl::suspend() {
  control_.set_suspended(true);
  take_terminal_back();
  front_stopped_ = true;
  front_.stop();
}

void JobControl::go_on() {
  control_.set_suspended(false);
  asked_ = false;
  front_stopped_ = false;
  if (wants_terminal_ && terminal_.foreground() == front_.group) {
    return give_terminal();
  }
  command_stopped_ = false;
  control_.forward_to_group(SIGCONT);
}

void JobControl::finish(bool ended_by_itself) {
  control_.on_stopped({});
  if (has_terminal_ && terminal_.take_if_abandoned(front_.group)) {
    has_terminal_ = false;
  }
  if (modes_ && !ended_by_itself && terminal_.foreground() == front_.group) {
    terminal_.set_modes(*modes_);
  }
  if (front_stopped_) {
    front_.go_on();
  }
}

}  // namespace keisei::app
