// The adversaries that a row of tests/adversaries/table cannot say: ends that come from outside the
// run, many runs at once, what stands between a run and its host.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fstream>
#include <thread>
#include <utility>

#include "adversaries_fixture.h"
#include "base/file.h"
#include "host_mechanisms.h"
#include "os/cgroup_place.h"
#include "os/child.h"
#include "os/gpu.h"
#include "os/procfs.h"
#include "os/session_weight.h"
#include "run_loop.h"

namespace keisei::testing_support {
namespace {

using namespace std::chrono_literals;
using guard::GuardedCommand;
using guard::GuardRecord;
using guard::Outcome;
using guard::Profile;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

namespace asio = boost::asio;

class Faults : public Adversaries {
 protected:
  [[nodiscard]] os::Child start_supervisor(std::vector<std::string> arguments) const {
    std::vector<std::string> argv = {adversary_path("supervise").string(), runs_.slots().string()};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    argv.push_back(runs_.cookie());
    Result<os::Child> supervisor =
        os::Child::spawn({.argv = argv, .environment = runs_.environment(), .fds = {}});
    EXPECT_TRUE(supervisor) << supervisor.error().message;
    return std::move(*supervisor);
  }
  void kill_supervisor(std::vector<std::string> arguments);
};

// --- 12: the supervisor is killed ---------------------------------------------------------------

void Faults::kill_supervisor(std::vector<std::string> arguments) {
  os::Child supervisor = start_supervisor(std::move(arguments));
  const MonotonicTime deadline = MonotonicClock::now() + 30s;
  std::size_t seen = 0;
  while (seen < 8 && MonotonicClock::now() < deadline) {
    std::this_thread::sleep_for(5ms);  // the supervisor, the init, the command and its five
    seen = runs_.survivors().size();
  }
  ASSERT_GE(seen, 8U);
  EXPECT_EQ(runs_.free_slots(4), 3);
  supervisor.signal(SIGKILL);
  EXPECT_EQ(supervisor.wait().signal, SIGKILL);
  EXPECT_TRUE(runs_.gone_soon());
  EXPECT_EQ(run(reporter("good")).record.outcome, Outcome::Finished);  // the next supervisor
}

TEST_F(Faults, NothingOutlivesASupervisorThatIsKilled) {
  covers(12);
  kill_supervisor({adversary_path("daemon").string(), "stay"});
}

TEST_F(Faults, NothingOutlivesASupervisorThatIsKilledWithoutNamespaces) {
  covers(12);
  kill_supervisor({"--bare", adversary_path("daemon").string(), "stay"});
}

// --- 13, 14: the launching thread, the trainer ---------------------------------------------------

TEST_F(Faults, ARunOutlivesTheThreadThatStartedIt) {
  covers(13);
  RunLoop loop(kLimits, runs_.slots());
  std::thread([&] {
    loop.start(runs_.adversary("share_pages", {"1", "1"}));  // 300 ms
    loop.loop.run_for(100ms);
  }).join();
  ASSERT_THAT(loop.records, IsEmpty());
  loop.loop.run();
  ASSERT_EQ(loop.records.size(), 1U);
  EXPECT_EQ(loop.records[0].outcome, Outcome::Finished) << loop.records[0].cause;
}

asio::awaitable<void> cancel_later(guard::RunControl& control, Outcome reason) {
  asio::steady_timer timer(co_await asio::this_coro::executor, 50ms);
  co_await timer.async_wait(asio::use_awaitable);
  control.cancel(reason, "the learner ended");
}

TEST_F(Faults, ALostTrainerEndsItsRun) {
  covers(14);
  RunLoop loop(kLimits, runs_.slots());
  loop.start(runs_.adversary("spin"));
  co_spawn(loop.loop, cancel_later(loop.control, Outcome::TrainerLost), asio::detached);
  const MonotonicTime begin = MonotonicClock::now();
  loop.loop.run();
  EXPECT_LT(MonotonicClock::now() - begin, 20s);  // of 60
  ASSERT_EQ(loop.records.size(), 1U);
  EXPECT_EQ(loop.records[0].outcome, Outcome::TrainerLost);
  EXPECT_EQ(loop.records[0].cause, "the learner ended");
}

Bytes resident(const std::vector<pid_t>& processes) {
  Bytes sum;
  for (const pid_t process : processes) {
    const auto status = os::read_proc("/proc/" + std::to_string(process) + "/status");
    if (const auto memory = status ? os::parse_status(*status) : std::nullopt) {
      sum = sum + memory->anonymous;
    }
  }
  return sum;
}

/// Ten processes that take 200 MB/s together, and a guard that gets no processor for half a second.
TEST_F(Faults, WhoGrowsNearItsLimitDoesNotGoOnWithoutItsGuard) {
  if (!host_has("namespaces")) {
    GTEST_SKIP() << not_enforced_here("namespaces");
  }
  RunLoop loop({.timeout = 60s, .memory = megabytes(500)}, runs_.slots());
  loop.start(runs_.adversary("leak", {"20", "10"}));
  const auto grown = [&](Bytes least) {
    while (loop.records.empty() && resident(runs_.survivors()) < least) {
      loop.loop.run_for(1ms);
    }
    return resident(runs_.survivors());
  };
  (void)grown(megabytes(400));
  Bytes begin = resident(runs_.survivors());
  for (int i = 0; i < 20; ++i) {  // until its init has come to stop it
    std::this_thread::sleep_for(20ms);
    if (begin == std::exchange(begin, resident(runs_.survivors()))) {
      break;
    }
  }
  std::this_thread::sleep_for(450ms);
  const Bytes end = resident(runs_.survivors());
  const Bytes later = grown(end + megabytes(20));  // it goes on with its guard
  loop.control.cancel(Outcome::Cancelled, "enough was seen");
  loop.loop.run();
  ASSERT_EQ(loop.records.size(), 1U);
  if (testing::Value(loop.records[0].tier.enforced, Contains(HasSubstr("memory.max")))) {
    GTEST_SKIP() << "the kernel holds its memory, and nobody has to stand still";
  }
  EXPECT_EQ(loop.records[0].outcome, Outcome::Cancelled) << loop.records[0].cause;
  EXPECT_EQ(end, begin);
  EXPECT_GE(later, end + megabytes(20));
}

TEST_F(Faults, ADroppedRunLeavesNothing) {
  {
    RunLoop loop(kLimits, runs_.slots());
    loop.start(runs_.adversary("daemon", {"stay"}));
    loop.loop.run_for(200ms);
    EXPECT_FALSE(runs_.survivors().empty());
    EXPECT_EQ(loop.manager.running(), 1);
  }
  EXPECT_THAT(runs_.survivors(), IsEmpty());
}

// --- 23: locks -----------------------------------------------------------------------------------

TEST_F(Faults, NobodyWaitsForLocksThatARunHolds) {
  covers(23);
  std::filesystem::create_directory(runs_.slots());
  EXPECT_EQ(runs_.free_slots(4), 4);  // and makes the slot files
  RunLoop loop({.timeout = 500ms}, runs_.slots());
  loop.start(runs_.adversary("hold_locks", {runs_.directory().string()}));
  MonotonicTime last = MonotonicClock::now();
  std::chrono::nanoseconds largest_turn{0};
  while (loop.loop.run_one_for(20ms) > 0 || !loop.loop.stopped()) {
    const MonotonicTime now = MonotonicClock::now();
    largest_turn = std::max<std::chrono::nanoseconds>(largest_turn, now - last);
    last = now;
  }
  EXPECT_LT(largest_turn, 10s);  // who waited for a lock would wait for ever
  ASSERT_EQ(loop.records.size(), 1U);
  EXPECT_EQ(loop.records[0].outcome, Outcome::TimedOut) << loop.records[0].cause;
}

// --- 24: fifty at once ---------------------------------------------------------------------------

asio::awaitable<void> watch_concurrency(const GuardedRuns& runs,
                                        const std::vector<GuardRecord>& records,
                                        std::size_t expected, int& most) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  while (records.size() < expected) {
    // Every run has two processes, its init and its command.
    most = std::max(most, static_cast<int>(runs.survivors().size()));
    timer.expires_after(3ms);
    co_await timer.async_wait(asio::use_awaitable);
  }
}

TEST_F(Faults, FiftyAtOnceNeverRunMoreThanFour) {
  covers(24);
  constexpr std::size_t kRuns = 50;
  const guard::EvaluationLimits limits = {.queue = 50};
  RunLoop here(limits, runs_.slots());
  guard::EvaluationPerformanceManager there(here.loop.get_executor(), limits, {}, runs_.slots());
  const std::vector<GuardRecord>& records = here.records;
  for (std::size_t i = 0; i < kRuns; ++i) {
    asio::co_spawn(
        here.loop,
        run_into(i % 2 == 0 ? here.manager : there, reporter("slow"), here.control, here.records),
        asio::detached);
  }
  int most = 0;
  asio::co_spawn(here.loop, watch_concurrency(runs_, records, kRuns, most), asio::detached);
  here.loop.run();
  ASSERT_EQ(records.size(), kRuns);
  EXPECT_LE(most, 8);
  EXPECT_GE(most, 4);
  for (const GuardRecord& record : records) {
    EXPECT_EQ(record.outcome, Outcome::Finished) << record.cause;
  }
}

TEST_F(Faults, AFullQueueRejects) {
  covers(24);
  RunLoop loop({.max_concurrent = 1, .timeout = 300ms, .queue = 1}, runs_.slots());
  for (int i = 0; i < 3; ++i) {
    loop.start(runs_.adversary("spin"));
  }
  loop.loop.run();
  ASSERT_EQ(loop.records.size(), 3U);
  EXPECT_EQ(loop.records[0].outcome, Outcome::Rejected);
  EXPECT_EQ(loop.records[1].outcome, Outcome::TimedOut);
  EXPECT_EQ(loop.records[2].outcome, Outcome::TimedOut);
  EXPECT_GT(loop.records[2].queue_ms, 200);
}

// --- 25, 27: the host: no GPU, clocks that step --------------------------------------------------

TEST_F(Faults, AnAbsentGpuIsNullAndDelaysNothing) {
  covers(25);
  const GuardRecord record = run(runs_.adversary("spin"), {.timeout = 500ms}).record;
  EXPECT_EQ(record.outcome, Outcome::TimedOut);
  if (!os::describe_gpu().present) {
    EXPECT_FALSE(record.gpu);
    EXPECT_THAT(guard::to_json(record), HasSubstr("\"gpu\":null"));
    EXPECT_EQ(record.sla.gpu_utilization_percent.verdict, guard::Verdict::NotMeasured);
  }
}

/// The clocks of this process's timers, as the kernel numbers them.
std::vector<std::string> timer_clocks() {
  std::vector<std::string> clocks;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
    const std::string text = read_file(entry.path()).value_or("");
    if (const std::size_t clock = text.find("clockid: "); clock != std::string::npos) {
      clocks.push_back(text.substr(clock, text.find('\n', clock) - clock));
    }
  }
  return clocks;
}

TEST_F(Faults, NoDeadlineOfARunIsOnTheWallClock) {
  covers(27);
  static_assert(MonotonicClock::is_steady);
  RunLoop loop({.timeout = 300ms}, runs_.slots());
  loop.start(runs_.adversary("spin"));
  loop.loop.run_for(100ms);
  const std::vector<std::string> clocks = timer_clocks();
  EXPECT_THAT(clocks, Contains("clockid: 1"));                // CLOCK_MONOTONIC
  EXPECT_THAT(clocks, testing::Not(Contains("clockid: 0")));  // CLOCK_REALTIME
  loop.loop.run();
  ASSERT_EQ(loop.records.size(), 1U);
  EXPECT_EQ(loop.records[0].outcome, Outcome::TimedOut);
}

// --- Beside the thirty ---------------------------------------------------------------------------

TEST_F(Faults, AWorkerFindsTheHandshakeOfItsJail) {
  EXPECT_EQ(run("handshake", {"100000000"}).record.outcome, Outcome::Finished);
  GuardedCommand outside = runs_.adversary("handshake", {"100000000"});
  outside.profile = Profile::Command;
  EXPECT_EQ(run(std::move(outside)).record.exit.code, 1);
}

TEST_F(Faults, ItIsTheWorkerProfileThatRefusesEscapes) {
  for (const char* adversary : {"escape", "scheduler_games", "in_flight"}) {
    GuardedCommand free = runs_.adversary(adversary);
    free.profile = Profile::Command;
    const GuardRecord record = run(std::move(free), {.timeout = 1s}).record;
    EXPECT_NE(record.exit.code, 0) << adversary;
  }
}

/// What the scheduler knows of each process of a run, for a message.
std::string scheduling_of(const std::vector<pid_t>& processes) {
  std::string text;
  for (const pid_t pid : processes) {
    text += fmt::format("{}: class {}, session {}, autogroup {}\n", pid, sched_getscheduler(pid),
                        getsid(pid),
                        os::read_proc(fmt::format("/proc/{}/autogroup", pid)).value_or("none"));
  }
  return text;
}

/// Sessions have no weight in a run's own cgroup: if any, that has.
bool session_weighs(pid_t pid) {
  const std::string cgroup = os::read_proc(fmt::format("/proc/{}/cgroup", pid)).value_or("");
  return os::sessions_have_weights() && cgroup.find(os::kRunCgroupPrefix) == std::string::npos;
}

/// Whether some process of the run has become its command and is in the idle class, in a session of
/// its own; of idle weight where sessions have any.
bool any_is_slack(const std::vector<pid_t>& processes) {
  return std::ranges::any_of(processes, [](pid_t pid) {
    const std::string name = os::read_proc(fmt::format("/proc/{}/comm", pid)).value_or("");
    const std::string group =
        os::read_proc(fmt::format("/proc/{}/autogroup", pid)).value_or("nice 19");  // none here
    return name == "spin\n" && sched_getscheduler(pid) == SCHED_IDLE && getsid(pid) != getsid(0) &&
           (group.find("nice 19") != std::string::npos || !session_weighs(pid));
  });
}

TEST_F(Faults, ASlackRunIsInTheIdleClassOfItsOwnSessionAndStillEndsSoon) {
  RunLoop loop({.timeout = 60s}, runs_.slots());
  GuardedCommand command = runs_.adversary("spin", {"2"});
  command.scheduling = guard::Scheduling::Slack;
  loop.start(std::move(command));
  const MonotonicTime deadline = MonotonicClock::now() + 20s;
  bool slack = false;
  while (!slack && MonotonicClock::now() < deadline) {
    loop.loop.run_for(20ms);
    slack = any_is_slack(runs_.survivors());
  }
  EXPECT_TRUE(slack) << scheduling_of(runs_.survivors());
  std::atomic<bool> over = false;
  std::vector<std::jthread> busy;  // an idle process would now get no CPU to die with
  for (unsigned i = 0; i < std::thread::hardware_concurrency(); ++i) {
    busy.emplace_back([&over] {
      while (!over) {
      }
    });
  }
  loop.control.cancel(Outcome::Cancelled, "enough");
  loop.loop.run();  // without its weight lifted it takes over 10 s, and is Unkillable
  over = true;
  ASSERT_EQ(loop.records.size(), 1U);
  EXPECT_EQ(loop.records[0].outcome, Outcome::Cancelled) << loop.records[0].cause;
  const std::vector<std::string>& held = loop.records[0].tier.enforced;
  EXPECT_THAT(held, Contains(HasSubstr("SCHED_IDLE")));
  const auto says = [&](const char* text) {
    return std::ranges::any_of(
        held, [&](const std::string& line) { return line.find(text) != std::string::npos; });
  };
  EXPECT_EQ(says("autogroup 19"), os::sessions_have_weights() && !says("cpu.idle"));
}

TEST_F(Faults, TheHostsOwnCeilingOfTasksStays) {
  const auto ceiling = [] { return os::read_proc("/proc/sys/kernel/pid_max"); };
  const auto before = ceiling();
  RunLoop loop({.timeout = 300ms}, runs_.slots());
  loop.start(runs_.adversary("spin"));
  loop.loop.run_for(100ms);
  EXPECT_EQ(ceiling(), before);
  loop.loop.run();
  EXPECT_EQ(ceiling(), before);
}

TEST_F(Faults, EachMechanismThatIsKnockedOutIsSaidAndTheOthersStay) {
  GuardedCommand command = runs_.adversary("violate", {"setns"});
  command.without.seccomp = true;
  const GuardRecord open = run(command).record;
  EXPECT_EQ(open.outcome, Outcome::Crashed) << open.cause;  // the call came back: exit code 1
  EXPECT_THAT(open.tier.not_enforced, Contains(HasSubstr("system calls")));

  const std::string file = (runs_.directory() / "made-elsewhere").string();
  const auto expect_files_held_by = [&](bool mounts, bool landlock) {
    std::filesystem::remove(file);
    GuardedCommand writer = runs_.adversary("crash", {"xfsz", file});
    writer.without.mount_namespace = !mounts;
    writer.without.landlock = !landlock;
    const GuardRecord record = run(writer, {.timeout = 60s, .file_size = megabytes(1)}).record;
    const bool held = (mounts && host_has("namespaces")) || (landlock && host_has("landlock"));
    EXPECT_EQ(record.outcome, held ? Outcome::Crashed : Outcome::OverFiles) << record.cause;
    EXPECT_EQ(std::filesystem::exists(file), !held);
    const std::vector<std::string>& unheld = record.tier.not_enforced;
    const bool said = std::ranges::count(unheld, "files: readable and writable as for this user");
    EXPECT_EQ(said, !held);
  };
  expect_files_held_by(true, true);
  expect_files_held_by(true, false);
  expect_files_held_by(false, true);
  expect_files_held_by(false, false);
}

/// Else a test that is skipped for what its host has not could hide a mechanism that is not used.
TEST_F(Faults, TheTierNamesWhatThisHostHas) {
  const std::vector<std::string> held = run(reporter("good")).record.tier.enforced;
  const auto says = [&](std::string_view text) {
    return std::ranges::any_of(held, [&](const auto& line) { return line.starts_with(text); });
  };
  EXPECT_EQ(says("system calls: seccomp"), host_has("seccomp"));
  EXPECT_EQ(says("files: Landlock"), host_has("landlock"));
  EXPECT_EQ(says("files: read-only mounts"), host_has("namespaces"));
  EXPECT_EQ(says("scratch: "), host_has("namespaces"));
}

// --- Without seccomp: what nothing else refuses is said, and costs no more than the tier says
// ------

TEST_F(Faults, LocksThatNothingRefusesAreSaid) {
  const std::filesystem::path file = runs_.directory() / "made-file";
  std::ofstream(file) << "x";
  GuardedCommand command = runs_.adversary("hold_locks", {runs_.directory().string()});
  command.without.seccomp = true;
  RunLoop loop({.timeout = 60s}, runs_.slots());
  loop.start(std::move(command));
  const UniqueFd ours(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  const auto is_locked = [&] {
    struct flock wanted = {};
    wanted.l_type = F_WRLCK;
    return fcntl(ours.get(), F_GETLK, &wanted) == 0 && wanted.l_type != F_UNLCK;
  };
  bool locked = false;
  while (loop.loop.run_one_for(20ms) > 0 || !loop.loop.stopped()) {
    if (!locked && is_locked()) {
      locked = true;
      loop.control.cancel(Outcome::Cancelled, "it was seen");
    }
  }
  EXPECT_TRUE(locked);
  EXPECT_FALSE(is_locked());
  ASSERT_EQ(loop.records.size(), 1U);
  EXPECT_EQ(loop.records[0].outcome, Outcome::Cancelled) << loop.records[0].cause;
  EXPECT_THAT(loop.records[0].tier.not_enforced, Contains(HasSubstr("locks: ")));
}

TEST_F(Faults, WhatIsInFlightIsSaidOrHeldByACgroup) {
  GuardedCommand command = runs_.adversary("in_flight");
  command.without.seccomp = true;
  const GuardRecord record =
      run(std::move(command), {.timeout = 2s, .memory = megabytes(100)}).record;
  if (record.cgroup) {
    EXPECT_EQ(record.outcome, Outcome::OverMemory) << record.cause;
  } else {
    EXPECT_EQ(record.outcome, Outcome::TimedOut) << record.cause;
    EXPECT_THAT(record.tier.not_enforced, Contains(HasSubstr("memory: descriptors in flight")));
  }
}

TEST_F(Faults, DisabledEnforcementHoldsNoLimitAndSaysSo) {
  GuardedCommand command = runs_.adversary("share_pages", {"1", "150"});
  command.enforcement = guard::Enforcement::Disabled;
  const GuardRecord record = run(std::move(command)).record;
  EXPECT_EQ(record.outcome, Outcome::Finished);
  EXPECT_FALSE(record.enforcement);
  EXPECT_THAT(record.tier.not_enforced, Contains(HasSubstr("memory")));
}

}  // namespace
}  // namespace keisei::testing_support
