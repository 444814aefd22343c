#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <utility>
#include <vector>

#include "guard/performance_manager.h"

namespace keisei::testing_support {

inline boost::asio::awaitable<void> run_into(guard::EvaluationPerformanceManager& manager,
                                             guard::GuardedCommand command,
                                             guard::RunControl& control,
                                             std::vector<guard::GuardRecord>& records) {
  guard::GuardedRun result =
      co_await manager.run_evaluation_with_safeguards(std::move(command), control);
  records.push_back(std::move(result.record));
}

/// A loop with one manager, for runs that are not alone.
struct RunLoop {
  RunLoop(const guard::EvaluationLimits& limits, const std::filesystem::path& slots)
      : manager(loop.get_executor(), limits, {}, slots) {}
  void start(guard::GuardedCommand command) {
    boost::asio::co_spawn(loop, run_into(manager, std::move(command), control, records),
                          boost::asio::detached);
  }

  boost::asio::io_context loop;
  guard::EvaluationPerformanceManager manager;
  guard::RunControl control;
  std::vector<guard::GuardRecord> records;
};

}  // namespace keisei::testing_support
