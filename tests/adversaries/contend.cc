// contend SLOTS MAX_CONCURRENT QUEUE RUNS COMMAND...: asks for RUNS runs of COMMAND at once, each
// with its number in KEISEI_RUN, and says how each ended. One of several that share SLOTS.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <string>

#include "guard/performance_manager.h"
#include "os/program.h"

namespace {

using namespace keisei::guard;

boost::asio::awaitable<void> run(EvaluationPerformanceManager& manager, GuardedCommand command,
                                 RunControl& control) {
  const GuardedRun ended =
      co_await manager.run_evaluation_with_safeguards(std::move(command), control);
  const std::string line =
      fmt::format("{} {}\n", to_string(ended.record.outcome), ended.record.cause);
  (void)!write(STDOUT_FILENO, line.data(), line.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    return 2;
  }
  EvaluationLimits limits;
  limits.max_concurrent = std::atoi(argv[2]);
  limits.queue = std::atoi(argv[3]);
  boost::asio::io_context loop;
  EvaluationPerformanceManager manager(loop.get_executor(), limits, {}, argv[1]);
  RunControl control;
  for (int i = 0; i < std::atoi(argv[4]); ++i) {
    GuardedCommand command;
    command.profile = Profile::Command;
    command.argv.assign(argv + 5, argv + argc);
    command.environment = keisei::os::current_environment();
    command.environment.push_back(fmt::format("KEISEI_RUN={}-{}", getpid(), i));
    boost::asio::co_spawn(loop, run(manager, std::move(command), control), boost::asio::detached);
  }
  loop.run();
  return 0;
}
