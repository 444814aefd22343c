#include "os/kill_members.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "os/child.h"
#include "os/program.h"

namespace keisei::os {
namespace {

using namespace std::chrono_literals;

Child sleeper() {
  auto child =
      Child::spawn({.argv = {"sleep", "60"}, .environment = current_environment(), .fds = {}});
  EXPECT_TRUE(child) << child.error().message;
  return std::move(*child);
}

TEST(KillMembers, KillsWhatIsBelowTheInit) {
  Child child = sleeper();
  const std::array members = {child.pid()};
  const std::vector<Condemned> condemned = condemn(getpid(), members);
  EXPECT_EQ(condemned.size(), 1U);
  kill_all(condemned);
  EXPECT_EQ(child.wait().signal, SIGKILL);
}

/// Holds so many bytes of its own and so many of a file, until it is killed.
class Holder {
 public:
  Holder(std::size_t own, std::size_t of_a_file) : pid_(fork()) {
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      std::vector<char> memory(own, 'x');
      asm volatile("" : : "r"(memory.data()) : "memory");
      const int file = memfd_create("holder", 0);
      const bool mapped =
          ftruncate(file, static_cast<off_t>(of_a_file)) == 0 &&
          (of_a_file == 0 || mmap(nullptr, of_a_file, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_POPULATE, file, 0) != MAP_FAILED);
      kill(getpid(), mapped ? SIGSTOP : SIGKILL);
    }
    siginfo_t stopped = {};
    EXPECT_EQ(waitid(P_PID, static_cast<id_t>(pid_), &stopped, WSTOPPED), 0);
  }
  ~Holder() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

/// A release gives back nothing of what is mapped from files.
TEST(KillMembers, CondemnsFirstWhatHasTheMostMemoryOfItsOwn) {
  const Child small = sleeper();
  const Holder mapper(0, 60'000'000);
  const Holder large(30'000'000, 0);
  const std::array members = {small.pid(), mapper.pid(), large.pid()};
  std::vector<Condemned> condemned = condemn(getpid(), members);
  for (int i = 0; i < 100 && condemned.size() < 3; ++i) {  // it takes no more than 2 ms
    condemned = condemn(getpid(), members);
  }
  ASSERT_EQ(condemned.size(), 3U);
  EXPECT_EQ(condemned.front().pid, large.pid());
}

TEST(KillMembers, LeavesAloneWhatIsNotBelowTheInit) {
  Child child = sleeper();
  Child other = sleeper();
  const std::array members = {child.pid(), getpid(), pid_t{1}, pid_t{0}};
  EXPECT_TRUE(condemn(other.pid(), members).empty());
  EXPECT_FALSE(child.poll());
}

template <typename Condition>
bool soon(const Condition& condition) {
  const MonotonicTime limit = MonotonicClock::now() + 20s;
  while (!condition() && MonotonicClock::now() < limit) {
    std::this_thread::yield();
  }
  return condition();
}

/// As the init of what is to be killed.
Condemned as_init(const Child& child) {
  return {.pid = child.pid(),
          .handle = UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, child.pid(), 0U)))};
}

TEST(TreeKill, KillsTheInitAndAllThatAreCondemned) {
  Child init = sleeper();
  std::array<Child, 3> children = {sleeper(), sleeper(), sleeper()};
  const std::array members = {children[0].pid(), children[1].pid(), children[2].pid()};
  std::vector<Condemned> condemned = condemn(getpid(), members);
  for (int i = 0; i < 100 && condemned.size() < 3; ++i) {
    condemned = condemn(getpid(), members);
  }
  ASSERT_EQ(condemned.size(), 3U);
  TreeKill kill;
  EXPECT_FALSE(init.poll());
  kill.kill(as_init(init), std::move(condemned));
  EXPECT_TRUE(soon([&kill] { return kill.signalled(); }));
  EXPECT_EQ(init.wait().signal, SIGKILL);
  for (Child& child : children) {
    EXPECT_EQ(child.wait().signal, SIGKILL);
  }
  EXPECT_TRUE(soon([&kill] { return kill.ended(); }));
}

/// Two of the processors that this thread may use, until it ends. False: there are not so many.
class OnTwoProcessors {
 public:
  OnTwoProcessors() {
    CPU_ZERO(&before_);
    sched_getaffinity(0, sizeof before_, &before_);
    CPU_ZERO(&two_);
    for (std::size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&two_) < 2; ++i) {
      if (CPU_ISSET(i, &before_)) {
        CPU_SET(i, &two_);
      }
    }
    sched_setaffinity(0, sizeof two_, &two_);
  }
  ~OnTwoProcessors() { sched_setaffinity(0, sizeof before_, &before_); }
  OnTwoProcessors(const OnTwoProcessors&) = delete;
  OnTwoProcessors& operator=(const OnTwoProcessors&) = delete;

  explicit operator bool() const { return CPU_COUNT(&two_) == 2; }

 private:
  cpu_set_t before_;
  cpu_set_t two_;
};

void wait_until_ready(const TreeKill& kill) {
  ASSERT_TRUE(soon([&kill] { return kill.ready(); }));
}

/// The dying can be faster, but not always: on a quiet machine it is one of thirty.
TEST(TreeKill, FreesTheMemoryOfWhomItKills) {
  const OnTwoProcessors two;
  if (!two || !can_help_to_die()) {
    GTEST_SKIP() << "one processor, or a kernel that has no process_mrelease or does not let us";
  }
  int released = 0;
  for (int i = 0; i < 60 && released < 10; ++i) {
    Child init = sleeper();
    const Holder holder(20'000'000, 0);
    const std::array members = {holder.pid()};
    std::vector<Condemned> condemned = condemn(getpid(), members);
    ASSERT_EQ(condemned.size(), 1U);
    EXPECT_TRUE(worth_helping(condemned));
    TreeKill kill;
    wait_until_ready(kill);
    kill.kill(as_init(init), std::move(condemned));
    EXPECT_TRUE(soon([&kill] { return kill.ended(); }));
    released += kill.released();
    EXPECT_EQ(init.wait().signal, SIGKILL);
  }
  EXPECT_EQ(released, 10);
}

TEST(TreeKill, IsNotWorthwhileForWhatIsMappedFromAFile) {
  const Holder mapper(0, 60'000'000);
  const std::array members = {mapper.pid()};
  const std::vector<Condemned> condemned = condemn(getpid(), members);
  ASSERT_EQ(condemned.size(), 1U);
  EXPECT_FALSE(worth_helping(condemned));
}

TEST(TreeKill, IsWorthwhileForALargeProcessOnly) {
  std::vector<Condemned> condemned;
  EXPECT_FALSE(worth_helping(condemned));
  condemned.push_back({.own = {4'000'000}});
  EXPECT_FALSE(worth_helping(condemned));
  condemned.front().own = {400'000'000};
  EXPECT_TRUE(worth_helping(condemned));
}

TEST(TreeKill, IsOrderedOnce) {
  Child init = sleeper();
  TreeKill kill;
  wait_until_ready(kill);
  kill.kill(as_init(init), {});
  EXPECT_FALSE(kill.ready());
  EXPECT_EQ(init.wait().signal, SIGKILL);
}

/// None of them takes the processor from who kills and frees.
TEST(TreeKill, PutsWhoIsToDieOnOtherProcessors) {
  const OnTwoProcessors two;
  if (!two) {
    GTEST_SKIP() << "one processor";
  }
  Child init = sleeper();
  Child child = sleeper();
  const std::array members = {child.pid()};
  TreeKill kill;
  kill.kill(as_init(init), condemn(getpid(), members));
  ASSERT_TRUE(soon([&kill] { return kill.ended(); }));
  for (const pid_t dead : {init.pid(), child.pid()}) {  // not yet reaped
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    ASSERT_EQ(sched_getaffinity(dead, sizeof allowed, &allowed), 0);
    EXPECT_EQ(CPU_COUNT(&allowed), 1);
  }
  EXPECT_EQ(init.wait().signal, SIGKILL);
  EXPECT_EQ(child.wait().signal, SIGKILL);
}

std::size_t own_threads() {
  const std::filesystem::directory_iterator threads("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(threads), end(threads)));
}

TEST(TreeKill, HasAThreadThatEndsWhereNobodyIsToBeKilled) {
#ifdef __SANITIZE_THREAD__
  constexpr std::size_t kOthers = 1;  // the sanitizer's
#else
  constexpr std::size_t kOthers = 0;
#endif
  const auto alone = [] { return own_threads() <= 1 + kOthers; };
  ASSERT_TRUE(soon(alone));  // those of other tests have ended
  {
    const TreeKill kill;
    EXPECT_FALSE(kill.ended());
    EXPECT_FALSE(alone());
  }
  EXPECT_TRUE(soon(alone));
}

/// Its handles are its own: nobody has to wait for it.
TEST(TreeKill, GoesOnWithoutWhoHasOrderedIt) {
  Child init = sleeper();
  Child child = sleeper();
  const std::array members = {child.pid()};
  {
    TreeKill kill;
    kill.kill(as_init(init), condemn(getpid(), members));
  }
  EXPECT_EQ(child.wait().signal, SIGKILL);
  EXPECT_EQ(init.wait().signal, SIGKILL);
}

}  // namespace
}  // namespace keisei::os
