#include "app/job_control.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace keisei::app {
namespace {

TEST(JobControl, GivesTheTerminalToACommandWhoseJobHasIt) {
  for (const int signal : {SIGTTIN, SIGTTOU}) {
    EXPECT_EQ(on_stop({.signal = signal, .job_in_foreground = true, .job_is_ours = true}),
              StopAction::GiveTerminal);
    EXPECT_EQ(on_stop({.signal = signal, .job_in_foreground = true}), StopAction::GiveTerminal);
  }
}

TEST(JobControl, ABackgroundJobThatWantsTheTerminalStops) {
  EXPECT_EQ(on_stop({.signal = SIGTTIN, .job_is_ours = true}), StopAction::StopFront);
}

TEST(JobControl, StopsWithItsCommandWhereTheJobIsItsOwn) {
  for (const int signal : {SIGTSTP, SIGSTOP}) {
    EXPECT_EQ(on_stop({.signal = signal, .job_is_ours = true}), StopAction::StopFront);
  }
}

TEST(JobControl, ACommandThatStopsItselfDoesNotStopAScriptOrATrainer) {
  EXPECT_EQ(on_stop({.signal = SIGSTOP}), StopAction::TakeTerminalBack);
  EXPECT_EQ(on_stop({.signal = SIGTSTP, .job_in_foreground = true}), StopAction::TakeTerminalBack);
  EXPECT_EQ(on_stop({.signal = SIGTSTP, .asked = true}), StopAction::StopFront);
}

}  // namespace
}  // namespace keisei::app
