// What pressure on the machine does to runs on the production road, and what they leave the loop.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <thread>

#include "guarded_run.h"
#include "pressure_fixture.h"

namespace keisei {
namespace {

namespace asio = boost::asio;
using namespace guard;
using namespace std::chrono_literals;
using testing::HasSubstr;

asio::awaitable<void> run_into(EvaluationPerformanceManager& manager, GuardedCommand command,
                               RunControl& control, std::vector<GuardRecord>& records) {
  GuardedRun run = co_await manager.run_evaluation_with_safeguards(std::move(command), control);
  records.push_back(std::move(run.record));
}

/// Calls `look` every few milliseconds until it says that it is done.
asio::awaitable<void> meanwhile(std::function<bool()> look) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  boost::system::error_code ignored;
  while (!look()) {
    timer.expires_after(5ms);
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

asio::awaitable<Result<void>> note(std::vector<ServiceLevel>& levels, ServiceLevel level) {
  levels.push_back(level);
  co_return Result<void>();
}

class UnderPressure : public testing::Test {
 protected:
  GuardedCommand command() {
    GuardedCommand command;
    command.argv = {"/bin/true"};
    command.environment = runs_.environment();
    command.profile = Profile::Command;
    command.pressure = PressureResponse::Degrade;
    command.adapt = [this](GuardedCommand&, ServiceLevel level) { return note(levels_, level); };
    return command;
  }
  void ask(EvaluationPerformanceManager& manager, GuardedCommand command) {
    asio::co_spawn(loop_, run_into(manager, std::move(command), control_, records_),
                   asio::detached);
  }
  EvaluationPerformanceManager manager(std::chrono::nanoseconds longest_deferral = 60s) {
    return {
        loop_.get_executor(),
        {},
        {},
        runs_.slots(),
        {.pressure = {.proc = machine_.path(), .longest_deferral = longest_deferral}, .gpu = {}}};
  }
  void run_loop() {
    loop_.restart();
    loop_.run();
  }

  testing_support::GuardedRuns runs_;
  testing_support::PressureFixture machine_;
  asio::io_context loop_{1};
  RunControl control_;
  std::vector<GuardRecord> records_;
  std::vector<ServiceLevel> levels_;
};

TEST_F(UnderPressure, ALevelGoesDownAndUpAgainAndTheRecordsSaySo) {
  EvaluationPerformanceManager guard = manager();
  ask(guard, command());
  run_loop();
  machine_.waiting_for_memory(7);
  asio::co_spawn(loop_, meanwhile([begun = MonotonicClock::now()] {
                   return MonotonicClock::now() - begun > 300ms;  // it looks every 250 ms
                 }),
                 asio::detached);
  run_loop();
  ask(guard, command());
  run_loop();
  machine_.waiting_for_memory(12);
  std::this_thread::sleep_for(300ms);
  ask(guard, command());
  run_loop();
  machine_.waiting_for_memory(0);
  std::this_thread::sleep_for(300ms);
  while (records_.size() < 200 && (levels_.empty() || records_.back().degradation.size() > 0)) {
    ask(guard, command());
    run_loop();
    std::this_thread::sleep_for(100ms);
  }
  ASSERT_GT(records_.size(), 4U);
  EXPECT_TRUE(records_[0].degradation.empty());
  ASSERT_EQ(records_[1].degradation.size(), 1U);
  EXPECT_EQ(records_[1].degradation[0].level, ServiceLevel::FewerGames);
  EXPECT_THAT(records_[1].degradation[0].cause, HasSubstr("memory: 7.0"));
  ASSERT_EQ(records_[2].degradation.size(), 1U);
  EXPECT_EQ(records_[2].degradation[0].level, ServiceLevel::OneThread);
  EXPECT_TRUE(records_.back().degradation.empty()) << "the pressure is over";
  EXPECT_EQ(levels_[0], ServiceLevel::FewerGames);
  EXPECT_EQ(levels_[1], ServiceLevel::OneThread);
  EXPECT_THAT(to_json(records_[1]), HasSubstr(R"("degradation":[{"level":"fewer_games")"));
}

TEST_F(UnderPressure, TheThreadsOfRunsThatGoAlreadyAreNoPressure) {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  EvaluationPerformanceManager guard = manager();
  GuardedCommand first = command();
  first.argv = {"/bin/sleep", "1"};
  first.threads = 4 * cores;
  ask(guard, std::move(first));
  asio::co_spawn(loop_, meanwhile([&] {
                   if (guard.running() == 0) {
                     return false;
                   }
                   machine_.load(cores + 4 * cores);    // the training's, and those of the first
                   std::this_thread::sleep_for(300ms);  // it looks every 250 ms
                   ask(guard, command());
                   return true;
                 }),
                 asio::detached);
  run_loop();
  ASSERT_EQ(records_.size(), 2U);
  for (const GuardRecord& record : {records_[0], records_[1]}) {  // in the order of their ends
    EXPECT_TRUE(record.degradation.empty()) << record.degradation[0].cause;
  }
  // Now the same load is somebody else's.
  ask(guard, command());
  run_loop();
  ASSERT_EQ(records_[2].degradation.size(), 1U);
  EXPECT_THAT(records_[2].degradation[0].cause, HasSubstr("tasks"));
}

TEST_F(UnderPressure, ADeferredRunWaitsInTheQueueAndRunsWhenMemoryIsBack) {
  EvaluationPerformanceManager guard = manager();
  machine_.available_mb(600);
  ask(guard, command());
  int turns = 0;
  asio::co_spawn(loop_, meanwhile([&] {
                   EXPECT_EQ(guard.running(), 0);
                   EXPECT_EQ(guard.queued(), 1);
                   if (++turns < 100) {
                     return false;
                   }
                   machine_.available_mb(8000);
                   return true;
                 }),
                 asio::detached);
  run_loop();
  ASSERT_EQ(records_.size(), 1U);
  EXPECT_EQ(records_[0].outcome, Outcome::Finished) << records_[0].cause;
  ASSERT_EQ(records_[0].degradation.size(), 2U);
  EXPECT_EQ(records_[0].degradation[0].level, ServiceLevel::Deferred);
  EXPECT_THAT(records_[0].degradation[0].cause, HasSubstr("600 MB of memory available"));
  EXPECT_GT(records_[0].degradation[0].waited_ms, 0);
  EXPECT_GE(records_[0].queue_ms, records_[0].degradation[0].waited_ms);
  EXPECT_EQ(records_[0].degradation[1].level, ServiceLevel::Full);
  EXPECT_TRUE(levels_.empty());
}

TEST_F(UnderPressure, ARunThatIsDeferredTooLongIsRejectedWithTheCause) {
  EvaluationPerformanceManager guard = manager(200ms);
  machine_.waiting_for_memory(30);
  ask(guard, command());
  run_loop();
  ASSERT_EQ(records_.size(), 1U);
  EXPECT_EQ(records_[0].outcome, Outcome::Rejected);
  EXPECT_THAT(records_[0].cause, HasSubstr("200 ms"));
  EXPECT_THAT(records_[0].cause, HasSubstr("wait for memory: 30.0"));
  ASSERT_EQ(records_[0].degradation.size(), 2U);
  EXPECT_EQ(records_[0].degradation[1].level, ServiceLevel::Rejected);
  EXPECT_EQ(runs_.free_slots(4), 4);
}

TEST_F(UnderPressure, ADeferredRunCanBeCancelled) {
  EvaluationPerformanceManager guard = manager();
  machine_.available_mb(100);
  ask(guard, command());
  asio::co_spawn(loop_, meanwhile([&] {
                   control_.cancel(Outcome::TrainerLost, "gone");
                   return true;
                 }),
                 asio::detached);
  run_loop();
  ASSERT_EQ(records_.size(), 1U);
  EXPECT_EQ(records_[0].outcome, Outcome::TrainerLost);
  EXPECT_EQ(records_[0].degradation.back().level, ServiceLevel::Deferred);
}

TEST_F(UnderPressure, SomebodysCommandRunsUnlessMemoryIsAboutToRunOut) {
  EvaluationPerformanceManager guard = manager(100ms);
  machine_.waiting_for_memory(90);
  machine_.available_mb(200);
  GuardedCommand guarded = command();
  guarded.pressure = PressureResponse::Shortage;
  guarded.adapt = {};
  ask(guard, guarded);
  run_loop();
  ASSERT_EQ(records_.size(), 1U);
  EXPECT_EQ(records_[0].outcome, Outcome::Finished);
  EXPECT_TRUE(records_[0].degradation.empty());
  machine_.available_mb(40);
  std::this_thread::sleep_for(300ms);
  ask(guard, guarded);
  run_loop();
  EXPECT_EQ(records_[1].outcome, Outcome::Rejected);
  EXPECT_THAT(records_[1].cause, HasSubstr("40 MB"));
}

TEST_F(UnderPressure, WithoutEnforcementNothingIsDegraded) {
  EvaluationPerformanceManager guard = manager(100ms);
  machine_.available_mb(10);
  GuardedCommand guarded = command();
  guarded.enforcement = Enforcement::Disabled;
  ask(guard, guarded);
  run_loop();
  ASSERT_EQ(records_.size(), 1U);
  EXPECT_EQ(records_[0].outcome, Outcome::Finished);
}

TEST_F(UnderPressure, ACommandThatCannotBeMadeSmallerFailsToStart) {
  EvaluationPerformanceManager guard = manager();
  machine_.waiting_for_memory(7);
  GuardedCommand guarded = command();
  guarded.adapt = [](GuardedCommand&, ServiceLevel) -> asio::awaitable<Result<void>> {
    co_return fail("the disk is full");
  };
  ask(guard, guarded);
  run_loop();
  ASSERT_EQ(records_.size(), 1U);
  EXPECT_EQ(records_[0].outcome, Outcome::StartFailed);
  EXPECT_EQ(records_[0].cause, "the disk is full");
  EXPECT_EQ(runs_.free_slots(4), 4);
}

TEST_F(UnderPressure, TheLoopTurnsWhileALargeReportIsRead) {
  EvaluationPerformanceManager guard = manager();
  std::atomic<int> turns = 0;
  std::atomic<bool> read = false;
  GuardedCommand guarded = command();
  guarded.argv = {"/bin/sh", "-c", "head -c 8000000 /dev/zero >&7"};
  guarded.report_fd = 7;
  guarded.report_check = [&](std::string_view text) -> decltype(guarded.report_check(text)) {
    EXPECT_EQ(text.size(), 8'000'000U);
    const int before = turns;
    const MonotonicTime deadline = MonotonicClock::now() + 60s;
    while (turns < before + 20 && MonotonicClock::now() < deadline) {  // never, on the loop itself
      std::this_thread::sleep_for(1ms);
    }
    EXPECT_GE(turns, before + 20);
    read = true;
    return {};
  };
  ask(guard, guarded);
  asio::co_spawn(loop_, meanwhile([&] {
                   ++turns;
                   return !records_.empty();
                 }),
                 asio::detached);
  run_loop();
  EXPECT_TRUE(read);
  ASSERT_EQ(records_.size(), 1U);
  EXPECT_EQ(records_[0].outcome, Outcome::Finished) << records_[0].cause;
}

TEST(EventLoop, WithoutADescriptorForItselfTheRunFailsToStartAndSaysWhatToDo) {
  asio::io_context loop;  // opens nothing yet
  EvaluationPerformanceManager manager(loop.get_executor(), {}, {}, {});
  RunControl control;
  std::vector<GuardRecord> records;
  rlimit usual = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &usual), 0);
  const rlimit none = {.rlim_cur = 0, .rlim_max = usual.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  GuardedCommand command;
  command.argv = {"/bin/true"};
  asio::co_spawn(loop, run_into(manager, std::move(command), control, records), asio::detached);
  loop.run();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].outcome, Outcome::StartFailed);
  EXPECT_THAT(records[0].cause, HasSubstr("ulimit -n"));
}

}  // namespace
}  // namespace keisei
