#include "os/marked_processes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

#include "os/procfs.h"

namespace keisei::os {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::Not;

std::string fresh_mark() { return "KEISEI_MARK=" + std::to_string(getpid()) + "-marked"; }

template <typename Condition>
bool soon(Condition condition) {
  for (int i = 0; i < 5000 && !condition(); ++i) {
    std::this_thread::sleep_for(1ms);
  }
  return condition();
}

/// A group of its own: a shell, and sleep(1) with `mark` in its environment, or as an argument of
/// the shell that became it.
pid_t start_sleep(const std::string& mark, bool in_environment) {
  const pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::string word = mark;
    char shell[] = "sh";
    char option[] = "-c";
    char script[] = "sleep 30; true";
    char* with_word[] = {shell, option, script, word.data(), nullptr};
    char* without[] = {shell, option, script, nullptr};
    char* environment[] = {in_environment ? word.data() : nullptr, nullptr};
    execve("/bin/sh", in_environment ? without : with_word, environment);
    _exit(127);
  }
  return child;
}

/// Once its program runs.
bool soon_marked(pid_t pid, const std::string& mark) {
  return soon([&] { return carries_mark(pid, mark); });
}

TEST(MarkedProcesses, AreFoundByTheirArgumentsAndByTheirEnvironment) {
  for (const bool in_environment : {false, true}) {
    const std::string mark = fresh_mark();
    const pid_t child = start_sleep(mark, in_environment);
    EXPECT_TRUE(soon_marked(child, mark));
    EXPECT_THAT(find_marked_processes(mark), Contains(child));
    EXPECT_FALSE(carries_mark(child, mark + "-of-another"));
    kill(-child, SIGKILL);
    siginfo_t info;
    waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
    EXPECT_FALSE(carries_mark(child, mark));  // dead, though nobody has waited for it
    waitpid(child, nullptr, 0);
    EXPECT_THAT(find_marked_processes(mark), Not(Contains(child)));
  }
}

TEST(MarkedProcesses, OneThatHasLostItsFirstThreadIsFoundToo) {
  std::string mark;  // what this process was started with, its child has too
  const std::string own = read_proc("/proc/self/cmdline").value_or("");
  mark = own.substr(0, own.find('\0'));
  ASSERT_FALSE(mark.empty());
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::thread([] { pause(); }).detach();
    syscall(SYS_exit, 0);
  }
  const std::string stat = "/proc/" + std::to_string(child) + "/stat";
  ASSERT_TRUE(soon([&] {
    const auto process = parse_stat(read_proc(stat).value_or(""), 100);
    return process && process->state == 'Z';
  }));
  EXPECT_TRUE(read_proc("/proc/" + std::to_string(child) + "/cmdline").value_or("").empty());
  EXPECT_TRUE(carries_mark(child, mark));
  EXPECT_THAT(find_marked_processes(mark), Contains(child));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace keisei::os
