// `keisei guard` at a terminal: job control as a shell user expects it, and limits that hold
// meanwhile. The terminals are pseudo-terminals, the shell is bash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <iterator>
#include <thread>

#include "base/clock.h"
#include "base/file.h"
#include "guarded_run.h"
#include "pseudo_terminal.h"

namespace keisei {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing_support::PseudoTerminal;

constexpr const char* kCtrlC = "\x03";
constexpr const char* kCtrlZ = "\x1a";

class GuardAtATerminal : public testing::Test {
 protected:
  ~GuardAtATerminal() override { EXPECT_TRUE(runs_.gone_soon()); }

  static std::string keisei() {
    return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "keisei").string();
  }
  /// `keisei guard`, as a shell would start it in a job of its own.
  [[nodiscard]] PseudoTerminal guard(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {keisei(), "guard"});
    return {arguments, runs_.environment()};
  }
  [[nodiscard]] PseudoTerminal guarded_script(const std::string& script) const {
    return guard({"--", "/bin/sh", "-c", script});
  }
  /// A script in which $G is `keisei guard`: the guard shares its job with the shell.
  [[nodiscard]] PseudoTerminal script(const std::string& text) const {
    return {{"/bin/sh", "-c", text}, environment()};
  }
  [[nodiscard]] PseudoTerminal interactive_shell() const {
    return {{"/bin/bash", "--norc", "--noprofile", "--noediting", "-i"}, environment()};
  }
  [[nodiscard]] std::vector<std::string> environment() const {
    auto environment = runs_.environment();
    environment.push_back("G=" + keisei() + " guard");
    environment.emplace_back("PS1=> ");
    return environment;
  }
  static std::vector<pid_t> children(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) +
                       "/children");
    return {std::istream_iterator<pid_t>(file), {}};
  }

  testing_support::GuardedRuns runs_;
};

TEST_F(GuardAtATerminal, TheCommandHasTheTerminalFromItsFirstInstructionOn) {
  PseudoTerminal terminal = guarded_script("read line && echo got:$line; exit 3");
  terminal.type("words\n");
  EXPECT_TRUE(terminal.shows("got:words")) << terminal.screen();
  EXPECT_EQ(terminal.wait(), 3);
}

TEST_F(GuardAtATerminal, CtrlCGoesToTheCommand) {
  PseudoTerminal terminal =
      guarded_script("trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done");
  ASSERT_TRUE(terminal.shows("ready")) << terminal.screen();
  terminal.type(kCtrlC);
  EXPECT_TRUE(terminal.shows("caught")) << terminal.screen();
  EXPECT_EQ(terminal.wait(), 9);
}

TEST_F(GuardAtATerminal, TheCommandHearsOfANewSize) {
  PseudoTerminal terminal =
      guarded_script("trap 'exit 4' WINCH; echo ready; while :; do sleep 0.05; done");
  ASSERT_TRUE(terminal.shows("ready")) << terminal.screen();
  terminal.resize(99);
  EXPECT_EQ(terminal.wait(), 4);
}

TEST_F(GuardAtATerminal, CtrlZStopsTheJobAndFgContinuesIt) {
  PseudoTerminal shell = interactive_shell();
  shell.type("$G -- sh -c 'echo rea''dy; read x; echo got:$x; exit 6'\n");
  ASSERT_TRUE(shell.shows("ready")) << shell.screen();
  shell.type(kCtrlZ);
  EXPECT_TRUE(shell.shows("Stopped")) << shell.screen();
  shell.type("fg\n");
  ASSERT_TRUE(shell.shows("$G -- sh")) << shell.screen();  // the shell says what it continues
  shell.type("words\n");
  EXPECT_TRUE(shell.shows("got:words")) << shell.screen();
  shell.type("echo code:$?\n");
  EXPECT_TRUE(shell.shows("code:6")) << shell.screen();
  shell.type("exit\n");
  EXPECT_EQ(shell.wait(), 0);
}

TEST_F(GuardAtATerminal, TheTimeOfAStoppedJobRunsOn) {
  PseudoTerminal shell = interactive_shell();
  shell.type("$G --timeout 10s -- sh -c 'echo rea''dy; exec sleep 1000'\n");
  ASSERT_TRUE(shell.shows("ready")) << shell.screen();
  shell.type(kCtrlZ);
  ASSERT_TRUE(shell.shows("Stopped")) << shell.screen();
  EXPECT_TRUE(shell.shows("TimedOut")) << shell.screen();
  // The guard speaks before the shell's job goes on, and that before it ends; then the shell tells
  // its code.
  shell.type("while jobs -s | grep -q timeout; do sleep 0.05; done; wait\n");
  EXPECT_TRUE(shell.shows("Exit 124")) << shell.screen();
  shell.type("exit 0\n");
  EXPECT_EQ(shell.wait(), 0);
}

TEST_F(GuardAtATerminal, ABackgroundJobDoesNotStealTheTerminal) {
  PseudoTerminal shell = interactive_shell();
  shell.type("$G -- cat &\n");
  shell.type("wait -n; echo typed''-to-the-shell\n");  // it stops on its first read
  EXPECT_TRUE(shell.shows("typed-to-the-shell")) << shell.screen();
  ASSERT_TRUE(shell.shows("Stopped")) << shell.screen();
  ASSERT_TRUE(shell.shows("\n> ")) << shell.screen();
  shell.type("fg\n");
  ASSERT_TRUE(shell.shows("fg\r\n$G -- cat")) << shell.screen();
  shell.type("for-the-cat\n");
  ASSERT_TRUE(shell.shows("for-the-cat\r\nfor-the-cat")) << shell.screen();
  shell.type(kCtrlC);
  ASSERT_TRUE(shell.shows("> ")) << shell.screen();
  shell.type("echo code:$?\n");
  EXPECT_TRUE(shell.shows("code:130")) << shell.screen();
  shell.type("exit\n");
  EXPECT_EQ(shell.wait(), 0);
}

TEST_F(GuardAtATerminal, AnInteractiveShellWorksInside) {
  PseudoTerminal shell = guard({"--", "/bin/bash", "--norc", "--noprofile", "--noediting", "-i"});
  shell.type("sh -c 'echo rea''dy; exec sleep 1000'\n");
  ASSERT_TRUE(shell.shows("ready")) << shell.screen();
  shell.type(kCtrlZ);
  ASSERT_TRUE(shell.shows("Stopped")) << shell.screen();
  shell.type("exit 5\n");  // bash warns of the stopped job first
  shell.type("exit 5\n");
  EXPECT_TRUE(shell.shows("exit")) << shell.screen();
  EXPECT_EQ(shell.wait(), 5);
}

TEST_F(GuardAtATerminal, APipelineSharesTheTerminalAsAlways) {
  PseudoTerminal shell = interactive_shell();
  shell.type("$G -- echo from-''above | sh -c 'read a; read b </dev/tty; echo both:$a:$b'\n");
  shell.type("from-the-keyboard\n");
  EXPECT_TRUE(shell.shows("both:from-above:from-the-keyboard")) << shell.screen();
  shell.type("exit\n");
  EXPECT_EQ(shell.wait(), 0);
}

TEST_F(GuardAtATerminal, ACommandThatStopsItsGroupStopsNeitherGuardNorScript) {
  PseudoTerminal alone =
      guard({"--timeout", "300ms", "--", "/bin/sh", "-c", "kill -STOP 0; sleep 1000"});
  EXPECT_EQ(alone.wait(), 124) << alone.screen();
  PseudoTerminal beside = script(
      "$G --timeout 300ms -- sh -c 'kill -STOP 0; sleep 1000'; echo code:$?; "
      "$G --timeout 300ms -- sh -c 'kill -TSTP $$; sleep 1000'; echo again:$?");
  EXPECT_TRUE(beside.shows("code:124")) << beside.screen();
  EXPECT_TRUE(beside.shows("again:124")) << beside.screen();
  EXPECT_EQ(beside.wait(), 0);
}

TEST_F(GuardAtATerminal, AScriptHasItsTerminalBackWhenTheCommandIsKilled) {
  PseudoTerminal terminal = script(
      "$G --timeout 10s -- sh -c 'read x; echo command:$x; exec sleep 1000'; "
      "read y; echo script:$y");
  terminal.type("one\n");
  ASSERT_TRUE(terminal.shows("command:one")) << terminal.screen();
  ASSERT_TRUE(terminal.shows("TimedOut")) << terminal.screen();
  terminal.type("two\n");
  EXPECT_TRUE(terminal.shows("script:two")) << terminal.screen();
  EXPECT_EQ(terminal.wait(), 0);
}

TEST_F(GuardAtATerminal, ModesOfAKilledCommandAreUndone) {
  PseudoTerminal terminal = guard({"--timeout", "10s", "--", "/bin/sh", "-c",
                                   "read x; stty raw -echo; echo set; exec sleep 1000"});
  const tcflag_t before = terminal.modes().c_lflag;
  terminal.type("go\n");
  ASSERT_TRUE(terminal.shows("set")) << terminal.screen();
  EXPECT_NE(terminal.modes().c_lflag, before);
  EXPECT_EQ(terminal.wait(), 124);
  EXPECT_EQ(terminal.modes().c_lflag, before);
}

TEST_F(GuardAtATerminal, ModesThatACommandLeavesOnPurposeStay) {
  PseudoTerminal terminal = guard({"--", "/bin/stty", "-echo"});
  EXPECT_EQ(terminal.wait(), 0);
  EXPECT_EQ(terminal.modes().c_lflag & ECHO, 0U);
}

TEST_F(GuardAtATerminal, WhoeverKillsTheFrontEndsTheTree) {
  PseudoTerminal terminal = guarded_script("echo ready; exec sleep 1000");
  ASSERT_TRUE(terminal.shows("ready")) << terminal.screen();
  kill(terminal.pid(), SIGKILL);
  EXPECT_EQ(terminal.wait(), 137);
  EXPECT_TRUE(runs_.gone_soon());
}

TEST_F(GuardAtATerminal, AKilledGuardIs125AndLeavesTheTerminalInOrder) {
  PseudoTerminal terminal = guarded_script("read x; stty raw -echo; echo ready; exec sleep 1000");
  const tcflag_t before = terminal.modes().c_lflag;
  terminal.type("go\n");
  ASSERT_TRUE(terminal.shows("ready")) << terminal.screen();
  const std::vector<pid_t> behind = children(terminal.pid());
  ASSERT_EQ(behind.size(), 1U);
  kill(behind.front(), SIGKILL);
  EXPECT_EQ(terminal.wait(), 125);
  EXPECT_THAT(terminal.screen(), HasSubstr("ended by signal 9"));
  EXPECT_EQ(terminal.modes().c_lflag, before);
  EXPECT_TRUE(runs_.gone_soon());
}

TEST_F(GuardAtATerminal, AGuardThatSomebodyStopsGoesOn) {
  PseudoTerminal terminal =
      guard({"--timeout", "5s", "--", "/bin/sh", "-c", "echo ready; exec sleep 1000"});
  ASSERT_TRUE(terminal.shows("ready")) << terminal.screen();
  for (const pid_t pid : children(terminal.pid())) {
    kill(pid, SIGSTOP);
  }
  EXPECT_EQ(terminal.wait(), 124) << terminal.screen();
}

TEST_F(GuardAtATerminal, SignalsToTheFrontReachTheCommand) {
  PseudoTerminal terminal =
      guarded_script("trap 'exit 8' USR1; echo ready; while :; do sleep 0.05; done");
  ASSERT_TRUE(terminal.shows("ready")) << terminal.screen();
  kill(terminal.pid(), SIGUSR1);
  EXPECT_EQ(terminal.wait(), 8);
}

TEST_F(GuardAtATerminal, AStrictCommandHasNoTerminal) {
  PseudoTerminal terminal =
      guard({"--strict", "--", "/bin/sh", "-c", "(exec 3<>/dev/tty) 2>/dev/null || exit 3"});
  EXPECT_EQ(terminal.wait(), 3);
}

}  // namespace
}  // namespace keisei
