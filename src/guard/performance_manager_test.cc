#include "guard/performance_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>

namespace keisei::guard {
namespace {

boost::asio::awaitable<void> run_into(EvaluationPerformanceManager& manager, RunControl& control,
                                      std::vector<GuardRecord>& records) {
  GuardedCommand command;
  command.argv = {"/bin/true"};
  GuardedRun result = co_await manager.run_evaluation_with_safeguards(std::move(command), control);
  records.push_back(std::move(result.record));
}

TEST(EvaluationPerformanceManager, WithoutFreeDescriptorsARunFailsToStartAndSaysWhatToDo) {
  boost::asio::io_context loop;
  const boost::asio::steady_timer opens_the_loops_own_descriptors(loop);
  EvaluationPerformanceManager manager(loop.get_executor(), {}, {}, {});
  rlimit usual = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &usual), 0);
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  const auto used = static_cast<rlim_t>(std::distance(begin(entries), end(entries)));
  const std::vector<rlim_t> limits = {used - 1, used, used + 1, used + 2, used + 4, used + 8, 200};
  std::vector<GuardRecord> records;
  for (const rlim_t limit : limits) {
    const rlimit few = {.rlim_cur = limit, .rlim_max = usual.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    RunControl control;
    boost::asio::co_spawn(loop, run_into(manager, control, records), boost::asio::detached);
    loop.restart();
    loop.run();
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
  }
  ASSERT_EQ(records.size(), limits.size());
  for (const GuardRecord& record : records) {
    EXPECT_EQ(record.outcome, Outcome::StartFailed) << record.cause;
  }
  EXPECT_THAT(records.back().cause, testing::HasSubstr("ulimit -n 272"));
}

}  // namespace
}  // namespace keisei::guard
