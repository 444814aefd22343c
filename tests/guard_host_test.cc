// What goes on around a run on its host: the run's own database is written to, clocks are set, the
// machine sleeps. Adversaries 23 and 27.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <iterator>

#include "adversaries_fixture.h"
#include "guard/isolation_test.h"
#include "host_mechanisms.h"
#include "injected_clocks.h"
#include "os/cgroup_place.h"
#include "run_loop.h"
#include "store/run_store.h"

namespace keisei::testing_support {
namespace {

using namespace std::chrono_literals;
using guard::GuardedCommand;
using guard::GuardRecord;
using guard::Outcome;

namespace asio = boost::asio;

class HostOfARun : public Adversaries {};

/// The run's database, which its supervisor writes to while the evaluation has it locked if it can.
TEST_F(HostOfARun, TheRunsDatabaseIsWrittenWhileARunLocksWhatItCan) {
  if (!host_has("seccomp")) {  // the tier says so: LocksThatNothingRefusesAreSaid
    GTEST_SKIP() << not_enforced_here("seccomp");
  }
  covers(23);
  const std::filesystem::path file = runs_.directory() / "made-run.db";
  Result<store::RunStore> database = store::RunStore::open(file);
  ASSERT_TRUE(database) << database.error().message;
  RunLoop loop({.timeout = 1s}, runs_.slots());
  loop.start(runs_.adversary("hold_locks", {runs_.directory().string()}));
  std::int64_t written = 0;
  while (loop.loop.run_one_for(20ms) > 0 || !loop.loop.stopped()) {
    const Result<void> added =
        database->add(telemetry::UpdateRecord{.step = written, .update = written + 1});
    ASSERT_TRUE(added) << added.error().message;
    ++written;
  }
  ASSERT_EQ(loop.records.size(), 1U);
  EXPECT_EQ(loop.records[0].outcome, Outcome::TimedOut) << loop.records[0].cause;
  const auto reader = store::RunStore::open_read_only(file);
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_EQ(std::ssize(reader->updates_since(-1).value()), written);
}

asio::awaitable<void> keep_changing_clocks(const std::vector<GuardRecord>& records) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (int i = 0; records.empty(); ++i) {
    constexpr std::array kSteps = {24h, -72h, 1h, 47h};  // there and back again
    InjectedClocks::step(kSteps[static_cast<std::size_t>(i) % kSteps.size()]);
    if (i % 10 == 0) {
      InjectedClocks::suspend(8h);
    }
    timer.expires_after(3ms);
    co_await timer.async_wait(asio::use_awaitable);
  }
}

TEST_F(HostOfARun, ClocksThatStepAndMachinesThatSleepEndNoRunAndKeepNoneAlive) {
  covers(27);
  const InjectedClocks clocks;
  const auto before = std::chrono::system_clock::now();
  InjectedClocks::step(1h);
  ASSERT_GE(std::chrono::system_clock::now() - before, 1h);  // the injection works
  InjectedClocks::step(-1h);
  struct Run {
    GuardedCommand command;
    std::chrono::nanoseconds timeout;
    Outcome outcome;
  };
  for (const Run& each : {Run{runs_.adversary("spin"), 300ms, Outcome::TimedOut},
                          Run{runs_.adversary("share_pages", {"1", "1"}), 60s, Outcome::Finished},
                          Run{reporter("slow"), 60s, Outcome::Finished}}) {
    RunLoop loop({.timeout = each.timeout}, runs_.slots());
    loop.start(each.command);
    asio::co_spawn(loop.loop, keep_changing_clocks(loop.records), asio::detached);
    loop.loop.run();
    ASSERT_EQ(loop.records.size(), 1U);
    const GuardRecord& record = loop.records[0];
    EXPECT_EQ(record.outcome, each.outcome) << record.cause;
    EXPECT_LT(record.latency_ms, 60'000) << "less than the smallest step";
    EXPECT_GE(record.latency_ms, 0);
    EXPECT_LT(record.queue_ms, 60'000);
    EXPECT_EQ(record.paused_ms, 0);
  }
}

/// In a cgroup with the controller cpu sessions have no weight, so the run's cgroup has to have it.
/// A training on every core would lose half of its rate to a spinning evaluation of the same
/// weight.
TEST(RunInACgroup, TheLowestWeightLeavesATrainingItsProcessors) {
  const Result<os::CgroupPlace> place = os::find_delegated_cgroup(os::this_cgroup_host());
  if (!place || !place->cpu) {
    GTEST_SKIP() << "no delegated cgroup v2 with the controller cpu";
  }
  const guard::Isolation isolation = guard::test_isolation();
  fmt::print("{}\n", isolation.sentence);
  ASSERT_TRUE(isolation.slack_loss) << isolation.sentence;
  EXPECT_LT(*isolation.slack_loss, 0.25) << isolation.sentence;
}

/// A CPU limit that no cpu.max holds is kept by stop and go: with the freezer of the run's cgroup
/// nothing inside is told, with signals it is.
TEST_F(HostOfARun, OnlyWithoutAFreezerARunIsToldThatItGoesOn) {
  const Result<os::CgroupPlace> place = os::find_delegated_cgroup(os::this_cgroup_host());
  if (place && place->cpu) {
    GTEST_SKIP() << "cpu.max holds the limit here";
  }
  const guard::GuardedRun run =
      runs_.run(runs_.adversary("notice_stops", {"6"}), {.timeout = 30s, .cpu_percent = 20});
  const std::string tier = fmt::format("{}", fmt::join(run.record.tier.enforced, "; "));
  fmt::print("{}; {:.2f} CPU s of {:.0f} ms, stood still for {:.0f}\n", tier,
             run.record.cpu_seconds, run.record.latency_ms, run.record.paused_ms);
  EXPECT_GT(run.record.paused_ms, 1000);
  if (!emulated()) {  // where a sweep for whom to stop takes long
    EXPECT_LT(run.record.cpu_seconds, 3);
  }
  ASSERT_TRUE(run.record.exit.code) << run.record.cause;
  if (place) {
    EXPECT_NE(tier.find("cgroup.freeze"), std::string::npos) << tier;
    EXPECT_EQ(run.record.exit.code, 0);
  } else {
    EXPECT_GT(run.record.exit.code, 2);
  }
}

/// Whoever leaves the frozen part of its cgroup is stopped all the same.
TEST_F(HostOfARun, LeavingTheFrozenCgroupFreesNobody) {
  const Result<os::CgroupPlace> place = os::find_delegated_cgroup(os::this_cgroup_host());
  if (!place || place->cpu) {
    GTEST_SKIP() << "no delegated cgroup v2, or cpu.max holds the limit there";
  }
  GuardedCommand command = runs_.adversary("change_cgroup", {"leave", "3"});
  command.profile = guard::Profile::Command;  // a worker can write to no such file
  const guard::GuardedRun run = runs_.run(command, {.timeout = 30s, .cpu_percent = 20});
  fmt::print("{:.2f} CPU s of {:.0f} ms, stood still for {:.0f}\n", run.record.cpu_seconds,
             run.record.latency_ms, run.record.paused_ms);
  EXPECT_EQ(run.record.exit.code, 0) << run.record.cause;
  EXPECT_LT(run.record.cpu_seconds, 1.8);  // of 3, but for the looks until it was seen
  EXPECT_GT(run.record.paused_ms, 1500);
}

/// With nsdelegate a cgroup namespace keeps it from its limits; without, its tier says so.
TEST_F(HostOfARun, NobodyChangesTheLimitsOfItsCgroupUnlessTheTierSaysSo) {
  if (const auto place = os::find_delegated_cgroup(os::this_cgroup_host()); !place) {
    GTEST_SKIP() << "no delegated cgroup v2: " << place.error().message;
  }
  GuardedCommand command = runs_.adversary("change_cgroup", {"limits"});
  command.profile = guard::Profile::Command;
  const guard::GuardRecord record = runs_.run(command, {.timeout = 3s}).record;
  const std::string tier = fmt::format("{}", fmt::join(record.tier.not_enforced, "; "));
  fmt::print("{}: it could do {} of seven things; {}\n", guard::to_string(record.outcome),
             record.exit.code.value_or(-1), tier);
  EXPECT_NE(record.exit.code, 77);
  if (tier.find("cgroup: it may leave it") == std::string::npos) {
    EXPECT_EQ(record.exit.code, 0) << record.cause;
  } else {  // whatever it could do, also where it stands still with its init
    EXPECT_LT(record.kill_ms.value_or(0), 1000);
  }

  command = runs_.adversary("change_cgroup", {"limits"});  // a worker writes to no such file
  const guard::GuardRecord worker = runs_.run(command, {.timeout = 30s}).record;
  EXPECT_EQ(worker.exit.code, 0) << worker.cause;
}

}  // namespace
}  // namespace keisei::testing_support
