#include "os/kill_members.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <thread>
#include <vector>

#include "os/child.h"
#include "os/program.h"

namespace keisei::os {
namespace {

Child sleeper() {
  auto child =
      Child::spawn({.argv = {"sleep", "60"}, .environment = current_environment(), .fds = {}});
  EXPECT_TRUE(child) << child.error().message;
  return std::move(*child);
}

TEST(KillMembers, KillsWhatIsBelowTheInit) {
  Child child = sleeper();
  const std::array members = {child.pid()};
  const CondemnedProcesses condemned = condemn(getpid(), members);
  EXPECT_EQ(condemned->size(), 1U);
  kill_all(*condemned);
  EXPECT_EQ(child.wait().signal, SIGKILL);
}

TEST(KillMembers, CondemnsTheLargestFirst) {
  Child small = sleeper();
  const pid_t large = fork();
  if (large == 0) {
    std::vector<char> memory(50'000'000, 'x');
    asm volatile("" : : "r"(memory.data()) : "memory");
    kill(getpid(), SIGSTOP);
  }
  siginfo_t stopped = {};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(large), &stopped, WSTOPPED), 0);
  const std::array members = {small.pid(), large};
  const CondemnedProcesses condemned = condemn(getpid(), members);
  ASSERT_EQ(condemned->size(), 2U);
  EXPECT_EQ(condemned->front().pid, large);
  kill(large, SIGKILL);
  waitpid(large, nullptr, 0);
}

TEST(KillMembers, LeavesAloneWhatIsNotBelowTheInit) {
  Child child = sleeper();
  Child other = sleeper();
  const std::array members = {child.pid(), getpid(), pid_t{1}, pid_t{0}};
  EXPECT_TRUE(condemn(other.pid(), members)->empty());
  EXPECT_FALSE(child.poll());
}

TEST(MemoryRelease, IsWorthwhileForALargeProcessOnly) {
  std::vector<Condemned> condemned;
  EXPECT_FALSE(worth_a_release(condemned));
  condemned.push_back({.pages = 1000});
  EXPECT_FALSE(worth_a_release(condemned));
  condemned.front().pages = 100'000;
  EXPECT_TRUE(worth_a_release(condemned));
}

void wait_for(const MemoryRelease& release) {
  while (!release.ended()) {
    std::this_thread::yield();
  }
}

TEST(MemoryRelease, FreesMemoryOfWhatIsKilledAfterItHasBegun) {
  if (syscall(448 /* process_mrelease */, -1, 0U) != 0 && errno != EBADF) {
    GTEST_SKIP() << "the kernel has no process_mrelease, or does not let us";
  }
  // The dying can be faster, but not always.
  int released = 0;
  for (int i = 0; i < 20 && released == 0; ++i) {
    Child child = sleeper();
    const std::array members = {child.pid()};
    const CondemnedProcesses condemned = condemn(getpid(), members);
    MemoryRelease release(condemned);
    kill_all(*condemned);
    release.signalled();
    wait_for(release);
    released += release.released();
    EXPECT_EQ(child.wait().signal, SIGKILL);
  }
  EXPECT_EQ(released, 1);
}

TEST(MemoryRelease, EndsWhereNobodyIsKilled) {
  Child child = sleeper();
  const std::array members = {child.pid()};
  const CondemnedProcesses condemned = condemn(getpid(), members);
  MemoryRelease release(condemned);
  wait_for(release);
  EXPECT_EQ(release.released(), 0);
  EXPECT_FALSE(child.poll());
}

/// Its handles are its own: nobody has to wait for it.
TEST(MemoryRelease, OutlivesWhoMadeIt) {
  Child child = sleeper();
  const std::array members = {child.pid()};
  std::optional<MemoryRelease> release(condemn(getpid(), members));
  const MemoryRelease watching = *release;
  release.reset();
  wait_for(watching);
  EXPECT_FALSE(child.poll());
}

}  // namespace
}  // namespace keisei::os
