// kill_latency [RUNS] [burst|slack]: from the instant at which a limit is reached until the whole
// tree is gone.
//
//   trainer: a process of its own session that spins on every core
//   victim:  500 MB in one process, or in ten, down the production road, until its time is up
//
// Prints, per number of processes and scheduling class, what passes between the deadline and the
// last process's end, and the part of it that is the kill (the record's kill_ms). The target is
// 60 ms or less at the 99th percentile at full weight. Beside it, of the same minutes: how long one
// process takes to give as much back that is killed without a guard while the trainer stands still.
// That is the kernel's work, and hosts differ by a factor of two in it, also one from itself.
// Run it as root and without privilege: only an account with CAP_SYS_NICE lets the dying go first.
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "guard/performance_manager.h"
#include "os/child.h"
#include "os/program.h"
#include "quantile.h"

namespace {

using namespace keisei;
using bench::quantile;
using namespace std::chrono_literals;

constexpr auto kTimeout = 1500ms;  // enough to touch 500 MB beside the trainer
constexpr auto kSlackTimeout = 8s;
constexpr int kMegabytes = 500;

/// The trainer's side: never returns.
[[noreturn]] void spin() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // whoever ends the bench ends this, too
  setsid();
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < std::thread::hardware_concurrency(); ++i) {
    threads.emplace_back([] {
      for (std::uint64_t rounds = 0;; ++rounds) {
        asm volatile("" : : "r"(rounds));  // or it would be no loop
      }
    });
  }
  threads.clear();
  std::abort();
}

boost::asio::awaitable<void> run_into(guard::EvaluationPerformanceManager& manager,
                                      guard::GuardedCommand command, guard::RunControl& control,
                                      guard::GuardRecord& record) {
  record = (co_await manager.run_evaluation_with_safeguards(std::move(command), control)).record;
}

/// Held, killed and waited for, in milliseconds, without anything beside it.
double free_alone(const os::Child& trainer) {
  constexpr std::size_t kBytes = std::size_t{kMegabytes} * 1'000'000;
  void* const memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  trainer.signal(SIGSTOP);
  const pid_t holder = memory == MAP_FAILED ? -1 : fork();
  if (holder == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::memset(memory, 1, kBytes);
    kill(getpid(), SIGSTOP);
    _exit(1);
  }
  siginfo_t stopped = {};
  if (holder < 0 || waitid(P_PID, static_cast<id_t>(holder), &stopped, WSTOPPED) != 0) {
    fmt::print(stderr, "no process can hold {} MB here\n", kMegabytes);
    std::exit(1);
  }
  const MonotonicTime killed = MonotonicClock::now();
  kill(holder, SIGKILL);
  waitpid(holder, nullptr, 0);
  const double took = milliseconds(MonotonicClock::now() - killed);
  trainer.signal(SIGCONT);
  munmap(memory, kBytes);
  return took;
}

struct Case {
  int processes;
  guard::Scheduling scheduling;
  std::chrono::nanoseconds timeout;
};

guard::GuardRecord run_once(const std::string& holder, const Case& what) {
  guard::EvaluationLimits limits;
  limits.timeout = what.timeout;
  limits.memory = megabytes(2 * kMegabytes);
  guard::GuardedCommand command;
  command.argv = {holder, std::to_string(what.processes),
                  std::to_string(kMegabytes / what.processes)};
  command.environment = os::current_environment();
  command.scheduling = what.scheduling;
  boost::asio::io_context loop;
  guard::EvaluationPerformanceManager manager(loop.get_executor(), limits, {}, {});
  guard::RunControl control;
  guard::GuardRecord record;
  boost::asio::co_spawn(loop, run_into(manager, std::move(command), control, record),
                        boost::asio::detached);
  loop.run();
  return record;
}

void measure(const std::string& holder, const Case& what, int runs, const os::Child& trainer) {
  std::vector<double> alone;
  std::vector<double> whole;
  std::vector<double> kill;
  Bytes smallest = megabytes(10 * kMegabytes);
  for (int i = 0; i < runs; ++i) {
    alone.push_back(free_alone(trainer));
    const guard::GuardRecord record = run_once(holder, what);
    if (record.outcome != guard::Outcome::TimedOut || !record.kill_ms) {
      fmt::print(stderr, "{}: {}\n", guard::to_string(record.outcome), record.cause);
      std::exit(1);
    }
    smallest = std::min(smallest, record.peak_memory);
    kill.push_back(*record.kill_ms);
    whole.push_back(record.latency_ms - milliseconds(what.timeout) + *record.kill_ms);
  }
  fmt::print(
      "{:2} processes, {}: deadline to gone: median {:5.1f} ms, p99 {:5.1f}, worst {:5.1f}; of it "
      "the kill: median {:5.1f} ms, p99 {:5.1f}; they held {} or more; alone on an idle machine: "
      "median {:5.1f} ms, p99 {:5.1f}\n",
      what.processes, what.scheduling == guard::Scheduling::Slack ? "slack" : "burst",
      quantile(whole, 0.5), quantile(whole, 0.99), quantile(whole, 1), quantile(kill, 0.5),
      quantile(kill, 0.99), to_string(smallest), quantile(alone, 0.5), quantile(alone, 0.99));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--spin") {
    spin();
  }
  const int runs = argc > 1 ? std::max(1, std::atoi(argv[1])) : 100;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  const std::string holder = (self.parent_path() / "adversaries" / "children_hold").string();
  auto trainer = os::Child::spawn(
      {.argv = {self.string(), "--spin"}, .environment = os::current_environment(), .fds = {}});
  if (!trainer) {
    fmt::print(stderr, "{}\n", trainer.error().message);
    return 1;
  }
  const std::string_view only = argc > 2 ? argv[2] : "";
  for (const int processes : {1, 10}) {
    if (only != "slack") {
      measure(holder, {processes, guard::Scheduling::Burst, kTimeout}, runs, *trainer);
    }
  }
  if (only != "burst") {
    measure(holder, {1, guard::Scheduling::Slack, kSlackTimeout},
            only.empty() ? std::max(1, runs / 5) : runs, *trainer);
  }
  return 0;
}
