// Real misbehaving programs against the production road. Each ends with exactly the outcome that
// its row names, and leaves no process, no descriptor and no taken slot.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <thread>

#include "base/clock.h"
#include "guarded_run.h"
#include "os/child.h"

namespace keisei {
namespace {

using namespace std::chrono_literals;
using guard::Containment;
using guard::EvaluationLimits;
using guard::GuardedCommand;
using guard::GuardedRun;
using guard::GuardRecord;
using guard::Outcome;
using guard::Profile;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr EvaluationLimits kLimits = {.timeout = 60s, .memory = megabytes(100)};

class Adversaries : public testing::Test {
 protected:
  /// Runs it and checks what must hold after every run.
  GuardedRun run(const GuardedCommand& command, const EvaluationLimits& limits = kLimits) {
    const int descriptors = testing_support::open_descriptors();
    GuardedRun result = runs_.run(command, limits);
    EXPECT_THAT(runs_.survivors(), IsEmpty());
    EXPECT_EQ(testing_support::open_descriptors(), descriptors);
    EXPECT_EQ(runs_.free_slots(limits.max_concurrent), limits.max_concurrent);
    const GuardRecord& record = result.record;
    fmt::print("{}: {}; peak {}, limit {}, ended after {:.0f} ms{}\n",
               guard::to_string(record.outcome), record.cause, to_string(record.peak_memory),
               to_string(limits.memory), record.latency_ms,
               record.kill_ms ? fmt::format(", killed in {:.1f} ms", *record.kill_ms) : "");
    return result;
  }
  GuardedRun run(const std::string& adversary, std::vector<std::string> arguments = {},
                 const EvaluationLimits& limits = kLimits) {
    return run(runs_.adversary(adversary, std::move(arguments)), limits);
  }
  GuardedCommand reporter(const std::string& what) {
    GuardedCommand command = runs_.adversary("report", {what});
    command.report_fd = 3;
    command.report_limit = megabytes(1);
    command.report_check = [](std::string_view report) -> Result<void> {
      return report.starts_with("{") ? Result<void>() : fail("the report is not JSON");
    };
    return command;
  }

  testing_support::GuardedRuns runs_;
};

TEST_F(Adversaries, ASpinningWorkerIsTimedOut) {
  const GuardRecord record = run("spin", {"2"}, {.timeout = 300ms}).record;
  EXPECT_EQ(record.outcome, Outcome::TimedOut);
  ASSERT_TRUE(record.breach);
  EXPECT_EQ(record.breach->metric, "timeout_s");
  EXPECT_GE(record.latency_ms, 300);
  EXPECT_GT(record.cpu_seconds, 0);
  EXPECT_TRUE(record.kill_ms);
}

TEST_F(Adversaries, AWorkerThatStopsItselfIsTimedOut) {
  EXPECT_EQ(run("stop_self", {}, {.timeout = 300ms}).record.outcome, Outcome::TimedOut);
}

TEST_F(Adversaries, AFastLeakIsOverMemory) {
  const GuardRecord record = run("leak").record;
  EXPECT_EQ(record.outcome, Outcome::OverMemory);
  EXPECT_LE(record.peak_memory, megabytes(101));  // the kernel refuses the page after the limit
}

TEST_F(Adversaries, ASlowLeakIsOverMemory) {
  EXPECT_EQ(run("leak", {"100"}, {.timeout = 60s, .memory = megabytes(50)}).record.outcome,
            Outcome::OverMemory);
}

TEST_F(Adversaries, MemoryThatChildrenHoldCounts) {
  const GuardRecord record = run("children_hold", {"10", "20"}).record;
  EXPECT_EQ(record.outcome, Outcome::OverMemory);
  ASSERT_TRUE(record.breach);
  EXPECT_EQ(record.breach->metric, "memory_mb");
}

TEST_F(Adversaries, PagesSharedByForkingCountOnce) {
  const GuardRecord record = run("share_pages", {"4", "60"}).record;
  EXPECT_EQ(record.outcome, Outcome::Finished) << record.cause;
  EXPECT_LE(record.peak_memory, megabytes(100));
}

TEST_F(Adversaries, PagesThatForksCopyAtLastCountInFull) {
  EXPECT_EQ(run("unshare_pages", {"4", "60"}).record.outcome, Outcome::OverMemory);
}

TEST_F(Adversaries, MemfdsThatNobodyMapsCount) {
  EXPECT_EQ(run("hoard_memfd").record.outcome, Outcome::OverMemory);
}

TEST_F(Adversaries, SharedAnonymousMemoryCounts) {
  EXPECT_EQ(run("map_shared").record.outcome, Outcome::OverMemory);
}

TEST_F(Adversaries, PagesOfAFileDoNotMakeAnExitCodeAMemoryBreach) {
  GuardedCommand command =
      runs_.adversary("map_file", {(runs_.directory() / "large").string(), "300", "3"});
  command.profile = Profile::Command;
  EXPECT_EQ(run(command).record.outcome, Outcome::Finished);
}

TEST_F(Adversaries, SealedWeightsThatAreHandedInDoNotCount) {
  const UniqueFd weights(memfd_create("weights", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const std::vector<char> block(1 << 20, 'w');
  for (int i = 0; i < 150; ++i) {
    ASSERT_EQ(write(weights.get(), block.data(), block.size()), 1 << 20);
  }
  ASSERT_EQ(fcntl(weights.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK), 0);
  GuardedCommand command = runs_.adversary("share_pages", {"1", "1"});
  command.fds = {{weights.get(), 5}};
  EXPECT_EQ(run(command).record.outcome, Outcome::Finished);
}

TEST_F(Adversaries, AForkBombIsOverProcesses) {
  EvaluationLimits limits = kLimits;
  limits.processes = 20;
  limits.memory = megabytes(500);
  const GuardRecord record = run("fork_bomb", {"1500"}, limits).record;
  EXPECT_EQ(record.outcome, Outcome::OverProcesses);
  ASSERT_TRUE(record.breach);
  EXPECT_EQ(record.breach->metric, "processes");
}

TEST_F(Adversaries, ADaemonDoesNotOutliveItsRun) {
  EXPECT_EQ(run("daemon").record.outcome, Outcome::Finished);
  EXPECT_EQ(run("daemon", {"stay"}, {.timeout = 300ms}).record.outcome, Outcome::TimedOut);
}

TEST_F(Adversaries, ADaemonDoesNotOutliveItsRunWithoutNamespaces) {
  GuardedCommand command = runs_.adversary("daemon");
  command.containment = Containment::Bare;
  command.profile = Profile::Command;  // where setsid works
  const GuardRecord record = run(command).record;
  EXPECT_EQ(record.outcome, Outcome::Finished);
  EXPECT_THAT(record.tier.not_enforced, testing::Contains(HasSubstr("no pid namespace")));
  command.argv.insert(command.argv.begin() + 1, "stay");
  EXPECT_EQ(run(command, {.timeout = 300ms}).record.outcome, Outcome::TimedOut);
}

TEST_F(Adversaries, ACrashIsNamedExactly) {
  const GuardRecord segv = run("crash", {"segv"}).record;
  EXPECT_EQ(segv.outcome, Outcome::Crashed);
  EXPECT_EQ(segv.exit.signal, SIGSEGV);
  const GuardRecord abort = run("crash", {"abort"}).record;
  EXPECT_EQ(abort.outcome, Outcome::Crashed);
  EXPECT_EQ(abort.exit.signal, SIGABRT);
  const GuardRecord exit = run("crash", {"exit"}).record;
  EXPECT_EQ(exit.outcome, Outcome::Crashed);
  EXPECT_EQ(exit.exit.code, 42);
}

TEST_F(Adversaries, ARefusedAllocationIsOverMemory) {
  const GuardedRun result = run("crash", {"throw"});
  EXPECT_EQ(result.record.outcome, Outcome::OverMemory);
  EXPECT_THAT(result.stderr_tail, HasSubstr("bad_alloc"));
}

TEST_F(Adversaries, AFileBeyondItsLimitIsOverFiles) {
  EvaluationLimits limits = kLimits;
  limits.file_size = megabytes(3);
  const std::string file = (runs_.directory() / "big").string();
  EXPECT_EQ(run("crash", {"xfsz", file}, limits).record.outcome, Outcome::OverFiles);
  EXPECT_EQ(std::filesystem::file_size(file), 3'000'000U);
}

TEST_F(Adversaries, WhatCannotBeStartedIsAStartFailure) {
  const std::string plain_file = (runs_.directory() / "plain").string();
  UniqueFd(open(plain_file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  struct Row {
    std::string program;
    int code;
    const char* why;
  };
  for (const Row& row :
       {Row{"/nonexistent/program", 127, "No such file"},
        Row{"keisei-no-such-program", 127, "No such file"}, Row{"/", 126, "Permission denied"},
        Row{plain_file, 126, "Permission denied"}}) {
    GuardedCommand command = runs_.adversary("spin");
    command.argv = {row.program};
    const GuardRecord record = run(command).record;
    EXPECT_EQ(record.outcome, Outcome::StartFailed) << row.program;
    EXPECT_EQ(record.exit.code, row.code) << row.program;
    EXPECT_THAT(record.cause, HasSubstr(row.why));
    EXPECT_THAT(record.cause, HasSubstr(row.program));
  }
}

TEST_F(Adversaries, AReportArrivesWhole) {
  EXPECT_EQ(run(reporter("good")).report, "{\"wins\": 1}");
  EXPECT_EQ(run(reporter("slow")).report, "{\"wins\": 1}");
}

TEST_F(Adversaries, ABadReportIsOne) {
  const GuardRecord garbage = run(reporter("garbage")).record;
  EXPECT_EQ(garbage.outcome, Outcome::BadReport);
  EXPECT_EQ(garbage.cause, "the report is not JSON");
  EXPECT_EQ(run(reporter("none")).record.outcome, Outcome::BadReport);
  const GuardedRun huge = run(reporter("huge"));
  EXPECT_EQ(huge.record.outcome, Outcome::BadReport);
  EXPECT_THAT(huge.record.cause, HasSubstr("larger than 1 MB"));
}

TEST_F(Adversaries, AFloodOnStderrLeavesItsLastLines) {
  const GuardedRun result = run(reporter("flood"));
  EXPECT_EQ(result.record.outcome, Outcome::Finished);
  EXPECT_LE(result.stderr_tail.size(), 4096U);
  EXPECT_THAT(result.stderr_tail, testing::EndsWith("the last line\n"));
}

TEST_F(Adversaries, TheWorkerProfileRefusesEveryEscape) {
  const GuardedRun result = run("escape");
  EXPECT_EQ(result.record.outcome, Outcome::Finished) << result.stderr_tail;
  GuardedCommand free = runs_.adversary("escape");
  free.profile = Profile::Command;
  EXPECT_EQ(run(free).record.exit.code, 1);  // so it was the profile that refused
}

TEST_F(Adversaries, AWorkerFindsTheHandshakeOfItsJail) {
  EXPECT_EQ(run("handshake", {"100000000"}).record.outcome, Outcome::Finished);
  GuardedCommand outside = runs_.adversary("handshake", {"100000000"});
  outside.profile = Profile::Command;
  EXPECT_EQ(run(outside).record.exit.code, 1);
}

TEST_F(Adversaries, TheCpuShareIsKeptByStopAndGo) {
  EvaluationLimits limits = {.timeout = 1500ms};
  limits.cpu_percent = 20;
  const GuardRecord record = run("spin", {"2"}, limits).record;
  EXPECT_EQ(record.outcome, Outcome::TimedOut);
  EXPECT_LT(record.cpu_seconds, 0.9);  // 0.3 s is its share; without the limit it takes up to 3 s
  EXPECT_GT(record.paused_ms, 0);
}

TEST_F(Adversaries, DisabledEnforcementHoldsNoLimitAndSaysSo) {
  GuardedCommand command = runs_.adversary("share_pages", {"1", "150"});
  command.enforcement = guard::Enforcement::Disabled;
  const GuardRecord record = run(command).record;
  EXPECT_EQ(record.outcome, Outcome::Finished);
  EXPECT_FALSE(record.enforcement);
  EXPECT_THAT(record.tier.not_enforced, testing::Contains(HasSubstr("memory")));
}

// --- Ends that come from outside the run -------------------------------------------------------

boost::asio::awaitable<void> run_into(guard::EvaluationPerformanceManager& manager,
                                      GuardedCommand command, guard::RunControl& control,
                                      std::vector<GuardRecord>& records) {
  GuardedRun result = co_await manager.run_evaluation_with_safeguards(std::move(command), control);
  records.push_back(std::move(result.record));
}

boost::asio::awaitable<void> cancel_later(guard::RunControl& control, Outcome reason) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, 50ms);
  co_await timer.async_wait(boost::asio::use_awaitable);
  control.cancel(reason, "the learner ended");
}

TEST_F(Adversaries, ALostTrainerEndsItsRun) {
  boost::asio::io_context loop;
  guard::EvaluationPerformanceManager manager(loop.get_executor(), kLimits, {}, runs_.slots());
  guard::RunControl control;
  std::vector<GuardRecord> records;
  co_spawn(loop, run_into(manager, runs_.adversary("spin"), control, records),
           boost::asio::detached);
  co_spawn(loop, cancel_later(control, Outcome::TrainerLost), boost::asio::detached);
  loop.run();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].outcome, Outcome::TrainerLost);
  EXPECT_EQ(records[0].cause, "the learner ended");
  EXPECT_THAT(runs_.survivors(), IsEmpty());
}

TEST_F(Adversaries, ADroppedRunLeavesNothing) {
  const int descriptors = testing_support::open_descriptors();
  guard::RunControl control;
  {
    boost::asio::io_context loop;
    guard::EvaluationPerformanceManager manager(loop.get_executor(), kLimits, {}, runs_.slots());
    std::vector<GuardRecord> records;
    co_spawn(loop, run_into(manager, runs_.adversary("daemon", {"stay"}), control, records),
             boost::asio::detached);
    loop.run_for(200ms);
    EXPECT_FALSE(runs_.survivors().empty());
    EXPECT_EQ(manager.running(), 1);
  }
  EXPECT_THAT(runs_.survivors(), IsEmpty());
  EXPECT_EQ(runs_.free_slots(4), 4);
  EXPECT_EQ(testing_support::open_descriptors(), descriptors + 1);  // the eventfd of `control`
}

void kill_supervisor(const testing_support::GuardedRuns& runs, std::vector<std::string> arguments) {
  std::vector<std::string> argv = {testing_support::adversary_path("supervise").string()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  argv.push_back(runs.cookie());
  Result<os::Child> supervisor =
      os::Child::spawn({.argv = argv, .environment = runs.environment(), .fds = {}});
  ASSERT_TRUE(supervisor) << supervisor.error().message;
  const MonotonicTime deadline = MonotonicClock::now() + 10s;
  std::size_t seen = 0;
  while (seen < 8 && MonotonicClock::now() < deadline) {
    std::this_thread::sleep_for(5ms);  // the supervisor, the init, the command and its five
    seen = runs.survivors().size();
  }
  ASSERT_GE(seen, 8U);
  supervisor->signal(SIGKILL);
  EXPECT_EQ(supervisor->wait().signal, SIGKILL);
  EXPECT_TRUE(runs.gone_soon());
}

TEST_F(Adversaries, NothingOutlivesASupervisorThatIsKilled) {
  kill_supervisor(runs_, {testing_support::adversary_path("daemon").string(), "stay"});
}

TEST_F(Adversaries, NothingOutlivesASupervisorThatIsKilledWithoutNamespaces) {
  kill_supervisor(runs_, {"--bare", testing_support::adversary_path("daemon").string(), "stay"});
}

boost::asio::awaitable<void> watch_concurrency(const testing_support::GuardedRuns& runs,
                                               const std::vector<GuardRecord>& records,
                                               std::size_t expected, int& most) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  while (records.size() < expected) {
    // Every run has two processes, its init and its command.
    most = std::max(most, static_cast<int>(runs.survivors().size()));
    timer.expires_after(3ms);
    co_await timer.async_wait(boost::asio::use_awaitable);
  }
}

TEST_F(Adversaries, FiftyAtOnceNeverRunMoreThanFour) {
  constexpr std::size_t kRuns = 50;
  const EvaluationLimits limits = {.queue = 50};
  boost::asio::io_context loop;
  guard::EvaluationPerformanceManager here(loop.get_executor(), limits, {}, runs_.slots());
  guard::EvaluationPerformanceManager there(loop.get_executor(), limits, {}, runs_.slots());
  guard::RunControl control;
  std::vector<GuardRecord> records;
  int most = 0;
  for (std::size_t i = 0; i < kRuns; ++i) {
    co_spawn(loop, run_into(i % 2 == 0 ? here : there, reporter("slow"), control, records),
             boost::asio::detached);
  }
  co_spawn(loop, watch_concurrency(runs_, records, kRuns, most), boost::asio::detached);
  loop.run();
  ASSERT_EQ(records.size(), kRuns);
  EXPECT_LE(most, 8);
  EXPECT_GE(most, 4);
  for (const GuardRecord& record : records) {
    EXPECT_EQ(record.outcome, Outcome::Finished) << record.cause;
  }
  EXPECT_THAT(runs_.survivors(), IsEmpty());
  EXPECT_EQ(runs_.free_slots(4), 4);
}

TEST_F(Adversaries, AFullQueueRejects) {
  boost::asio::io_context loop;
  guard::EvaluationPerformanceManager manager(
      loop.get_executor(), {.max_concurrent = 1, .timeout = 300ms, .queue = 1}, {}, runs_.slots());
  guard::RunControl control;
  std::vector<GuardRecord> records;
  for (int i = 0; i < 3; ++i) {
    co_spawn(loop, run_into(manager, runs_.adversary("spin"), control, records),
             boost::asio::detached);
  }
  loop.run();
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(records[0].outcome, Outcome::Rejected);
  EXPECT_EQ(records[1].outcome, Outcome::TimedOut);
  EXPECT_EQ(records[2].outcome, Outcome::TimedOut);
  EXPECT_GT(records[2].queue_ms, 200);
}

}  // namespace
}  // namespace keisei
