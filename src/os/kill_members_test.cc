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
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "os/child.h"
#include "os/program.h"

namespace keisei::os {
namespace {

using namespace std::chrono_literals;

/// Where there is one only, nobody helps.
bool has_processors() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  return sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) > 1;
}

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
  CondemnedProcesses condemned = condemn(getpid(), members);
  for (int i = 0; i < 100 && condemned->size() < 3; ++i) {  // it takes no more than 1 ms
    condemned = condemn(getpid(), members);
  }
  ASSERT_EQ(condemned->size(), 3U);
  EXPECT_EQ(condemned->front().pid, large.pid());
  EXPECT_EQ(worth_a_release(*condemned), has_processors());
}

TEST(MemoryRelease, IsNotWorthwhileForWhatIsMappedFromAFile) {
  const Holder mapper(0, 60'000'000);
  const std::array members = {mapper.pid()};
  const CondemnedProcesses condemned = condemn(getpid(), members);
  ASSERT_EQ(condemned->size(), 1U);
  EXPECT_FALSE(worth_a_release(*condemned));
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
  condemned.push_back({.own = {4'000'000}});
  EXPECT_FALSE(worth_a_release(condemned));
  condemned.front().own = {400'000'000};
  EXPECT_EQ(worth_a_release(condemned), has_processors());
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
  if (!has_processors()) {
    GTEST_SKIP() << "one processor: nobody frees memory beside the dying";
  }
  // The dying can be faster, but not always.
  int released = 0;
  for (int i = 0; i < 200 && released == 0; ++i) {
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
  /// On the one where the caller is not.
  void put_elsewhere(pid_t pid) const {
    cpu_set_t other = two_;
    CPU_CLR(static_cast<std::size_t>(sched_getcpu()), &other);
    EXPECT_EQ(sched_setaffinity(pid, sizeof other, &other), 0);
  }

 private:
  cpu_set_t before_;
  cpu_set_t two_;
};

bool may_go_first() {
  const Child child = sleeper();
  const sched_param lowest = {.sched_priority = 1};
  return sched_setscheduler(child.pid(), SCHED_RR, &lowest) == 0;
}

/// Who dies at real-time priority would take the processor from whoever frees memory beside it.
TEST(MemoryRelease, IsNotDisplacedByWhoGoesFirst) {
  if (syscall(448 /* process_mrelease */, -1, 0U) != 0 && errno != EBADF) {
    GTEST_SKIP() << "the kernel has no process_mrelease, or does not let us";
  }
  const OnTwoProcessors two;
  if (!two || !may_go_first()) {
    GTEST_SKIP() << "nobody can go first here";
  }
  int tried = 0;
  int released = 0;
  for (int i = 0; i < 300 && tried < 20; ++i) {
    const Holder holder(20'000'000, 0);
    const std::array members = {holder.pid()};
    const CondemnedProcesses condemned = condemn(getpid(), members);
    const MonotonicTime begin = MonotonicClock::now();
    MemoryRelease release(condemned);
    two.put_elsewhere(holder.pid());  // where the release is
    if (condemned->empty() || MonotonicClock::now() > begin + 900us) {
      continue;  // others kept the processors, and it may have given up
    }
    ++tried;
    kill_all(*condemned);
    release.signalled();
    wait_for(release);
    released += release.released();
  }
  if (tried < 20) {
    GTEST_SKIP() << "other processes kept the processors busy";
  }
  EXPECT_GE(released, 16);  // otherwise it is about every second one
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
