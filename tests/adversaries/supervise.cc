// supervise SLOTS [--bare] COMMAND...: a supervisor that tests kill with SIGKILL.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <string_view>

#include "guard/performance_manager.h"
#include "os/program.h"

namespace {

using namespace keisei::guard;

boost::asio::awaitable<void> run(EvaluationPerformanceManager& manager, GuardedCommand command,
                                 RunControl& control) {
  co_await manager.run_evaluation_with_safeguards(std::move(command), control);
}

}  // namespace

int main(int argc, char** argv) {
  GuardedCommand command;
  command.profile = Profile::Command;
  int first = 2;
  if (argc > first && std::string_view(argv[first]) == "--bare") {
    command.containment = Containment::Bare;
    ++first;
  }
  if (argc <= first) {
    return 2;
  }
  command.argv.assign(argv + first, argv + argc);
  command.environment = keisei::os::current_environment();
  boost::asio::io_context loop;
  EvaluationPerformanceManager manager(loop.get_executor(), {}, {}, argv[1]);
  RunControl control;
  boost::asio::co_spawn(loop, run(manager, std::move(command), control), boost::asio::detached);
  loop.run();
  return 0;
}
