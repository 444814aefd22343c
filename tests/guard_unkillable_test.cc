// A tree that the kernel does not end: somebody outside keeps a dead member of its PID namespace
// unreaped, and the namespace's init must wait for that.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <thread>

#include "base/clock.h"
#include "guarded_run.h"
#include "os/procfs.h"

namespace keisei {
namespace {

using namespace std::chrono_literals;
using guard::GuardRecord;
using guard::Outcome;

boost::asio::awaitable<void> run_into(guard::EvaluationPerformanceManager& manager,
                                      guard::GuardedCommand command, guard::RunControl& control,
                                      std::vector<GuardRecord>& records) {
  guard::GuardedRun result =
      co_await manager.run_evaluation_with_safeguards(std::move(command), control);
  records.push_back(std::move(result.record));
}

/// Joins the namespaces of `pid` through a child, has a grandchild die in there and reaps it only
/// when it is told to.
class Hostage {
 public:
  explicit Hostage(pid_t pid) {
    int ready[2] = {-1, -1};
    EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
    const UniqueFd ready_read(ready[0]);
    const UniqueFd ready_write(ready[1]);
    holder_ = fork();
    if (holder_ == 0) {
      hold(pid, ready_write.get());
    }
    char answer = 'n';
    taken_ = read(ready_read.get(), &answer, 1) == 1 && answer == 'y';
  }
  ~Hostage() { free(); }
  Hostage(const Hostage&) = delete;
  Hostage& operator=(const Hostage&) = delete;

  [[nodiscard]] bool taken() const { return taken_; }
  void free() {
    if (holder_ > 0) {
      kill(holder_, SIGTERM);
      waitpid(holder_, nullptr, 0);
      holder_ = -1;
    }
  }

 private:
  [[noreturn]] static void hold(pid_t pid, int ready) {
    sigset_t freed;
    sigemptyset(&freed);
    sigaddset(&freed, SIGTERM);
    sigprocmask(SIG_BLOCK, &freed, nullptr);
    const UniqueFd user(open(fmt::format("/proc/{}/ns/user", pid).c_str(), O_RDONLY | O_CLOEXEC));
    const UniqueFd pids(open(fmt::format("/proc/{}/ns/pid", pid).c_str(), O_RDONLY | O_CLOEXEC));
    (void)setns(user.get(), CLONE_NEWUSER);  // refused where it is this process's own already
    const bool joined = setns(pids.get(), CLONE_NEWPID) == 0;
    const pid_t inside = joined ? fork() : -1;
    if (inside == 0) {
      while (true) {
        pause();
      }
    }
    (void)!write(ready, inside > 0 ? "y" : "n", 1);
    int signal = 0;
    sigwait(&freed, &signal);
    waitpid(inside, nullptr, 0);
    _exit(0);
  }

  pid_t holder_ = -1;
  bool taken_ = false;
};

TEST(Unkillable, ATreeThatTheKernelDoesNotEndIsNamedAndKeepsItsSlotUntilItIsGone) {
  testing_support::GuardedRuns runs;
  boost::asio::io_context loop;
  const guard::EvaluationLimits limits = {.max_concurrent = 2, .timeout = 60s};
  guard::EvaluationPerformanceManager manager(loop.get_executor(), limits, {}, runs.slots());
  guard::RunControl control;
  std::vector<GuardRecord> records;
  co_spawn(loop, run_into(manager, runs.adversary("spin"), control, records),
           boost::asio::detached);
  const MonotonicTime patience = MonotonicClock::now() + 30s;
  while (runs.survivors().empty() && MonotonicClock::now() < patience) {
    loop.run_for(10ms);
  }
  const std::vector<pid_t> members = runs.survivors();
  ASSERT_FALSE(members.empty());
  Hostage hostage(members.back());
  if (!hostage.taken()) {
    control.cancel(Outcome::Cancelled, "no namespace to join");
    loop.run();
    GTEST_SKIP() << "the namespaces of the tree cannot be joined here";
  }
  control.cancel(Outcome::Cancelled, "enough");
  loop.restart();
  loop.run();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].outcome, Outcome::Unkillable);
  EXPECT_THAT(records[0].cause, testing::HasSubstr("enough"));
  EXPECT_EQ(manager.running(), 1);
  EXPECT_EQ(runs.free_slots(2), 1);

  hostage.free();
  // Whoever comes next looks whether it is gone.
  guard::RunControl next;
  while (manager.running() > 0 && MonotonicClock::now() < patience + 20s) {
    guard::GuardedCommand command = runs.adversary("spin");
    command.argv = {"/bin/true"};
    co_spawn(loop, run_into(manager, std::move(command), next, records), boost::asio::detached);
    loop.restart();
    loop.run();
  }
  EXPECT_EQ(manager.running(), 0);
  EXPECT_EQ(runs.free_slots(2), 2);
  EXPECT_TRUE(runs.gone_soon());
}

}  // namespace
}  // namespace keisei
