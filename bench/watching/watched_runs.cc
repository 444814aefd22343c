#include "watched_runs.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <thread>

#include "base/check.h"
#include "os/program.h"

namespace keisei::bench {
namespace {

namespace asio = boost::asio;
using Counter = std::atomic<std::int64_t>;

constexpr std::size_t kMegabyte = 1'000'000;

[[noreturn]] void idle() {
  while (true) {
    pause();
  }
}

[[noreturn]] void busy() {
  while (true) {
    asm volatile("");
  }
}

Counter& counter() {
  void* page = mmap(nullptr, sizeof(Counter), PROT_READ | PROT_WRITE, MAP_SHARED, kCounterFd, 0);
  KEISEI_CHECK(page != MAP_FAILED, "the counter is not there");
  return *static_cast<Counter*>(page);
}

[[noreturn]] void touch_mapped(int flags) {
  Counter& touched = counter();
  while (true) {
    void* memory = mmap(nullptr, kMegabyte, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      std::abort();
    }
    std::memset(memory, 1, kMegabyte);
    touched.fetch_add(1);
  }
}

[[noreturn]] void touch_memfd() {
  Counter& touched = counter();
  const std::vector<char> block(kMegabyte, 'x');
  const int file = memfd_create("victim", 0);
  // The file size limit is the memory limit: several files.
  for (std::int64_t written = 0;; ++written) {
    static int current = file;
    if (written % 50 == 49) {
      current = memfd_create("victim", 0);
    }
    if (write(current, block.data(), block.size()) > 0) {
      touched.fetch_add(1);
    }
  }
}

/// Beside itself.
int children_of(std::string_view how) {
  if (how == "children") {
    return 1;
  }
  return how == "hundred" ? 99 : 0;
}

[[noreturn]] void touch(std::string_view how, std::chrono::milliseconds rest) {
  const auto wake = std::chrono::steady_clock::now() + rest;  // all of them at once
  for (int others = children_of(how); others > 0 && fork() != 0; --others) {
  }
  std::this_thread::sleep_until(wake);
  if (how == "malloc") {
    touch_mapped(MAP_PRIVATE);
  }
  if (how == "shared") {
    touch_mapped(MAP_SHARED);
  }
  if (how == "memfd") {
    touch_memfd();
  }
  KEISEI_CHECK(how == "children" || how == "hundred", "no such victim");
  touch_mapped(MAP_PRIVATE);
}

asio::awaitable<void> run_into(guard::EvaluationPerformanceManager& manager,
                               guard::GuardedCommand command, guard::GuardedRun& result) {
  guard::RunControl control;
  result = co_await manager.run_evaluation_with_safeguards(std::move(command), control);
}

}  // namespace

void be_victim_if_asked(int argc, char** argv) {
  if (argc < 3 || std::string_view(argv[1]) != "--victim") {
    return;
  }
  const std::string_view kind = argv[2];
  if (kind == "idle") {
    idle();
  }
  if (kind == "busy") {
    busy();
  }
  touch(argc > 3 ? argv[3] : "", std::chrono::milliseconds(argc > 4 ? std::atoi(argv[4]) : 0));
}

guard::GuardedCommand victim(std::vector<std::string> kind) {
  guard::GuardedCommand command;
  command.argv = {std::filesystem::read_symlink("/proc/self/exe").string(), "--victim"};
  command.argv.insert(command.argv.end(), kind.begin(), kind.end());
  command.environment = os::current_environment();
  return command;
}

std::vector<guard::GuardedRun> run_all(std::vector<guard::GuardedCommand> commands,
                                       const guard::EvaluationLimits& limits) {
  asio::io_context loop;
  guard::EvaluationPerformanceManager manager(loop.get_executor(), limits, {}, {});
  std::vector<guard::GuardedRun> results(commands.size());
  for (std::size_t i = 0; i < commands.size(); ++i) {
    asio::co_spawn(loop, run_into(manager, std::move(commands[i]), results[i]), asio::detached);
  }
  loop.run();
  return results;
}

}  // namespace keisei::bench
