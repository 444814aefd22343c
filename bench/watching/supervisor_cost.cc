// supervisor_cost [SECONDS]: CPU time of the guarding process while it watches four workers, as a
// share of one core. First four that sleep, then four that spin. The target is 1 % or less.
// Told without the runs' start and end, then with them.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/clock.h"
#include "watched_runs.h"

namespace {

using namespace keisei;

double cpu_seconds() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const auto to_seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return to_seconds(usage.ru_utime) + to_seconds(usage.ru_stime);
}

/// Between the runs' start and end, which are told apart: a run has these once.
class WatchingAlone {
 public:
  explicit WatchingAlone(int seconds_each)
      : thread_([this, seconds_each] {
          std::this_thread::sleep_for(kStart);
          const MonotonicTime start = MonotonicClock::now();
          const double before = cpu_seconds();
          std::this_thread::sleep_for(std::chrono::seconds(seconds_each) - kStart - kEnd);
          share_ = (cpu_seconds() - before) / seconds(MonotonicClock::now() - start);
        }) {}

  /// Of a core.
  [[nodiscard]] double join() {
    thread_.join();
    return share_;
  }

 private:
  static constexpr std::chrono::milliseconds kStart{500};
  static constexpr std::chrono::milliseconds kEnd{250};
  double share_ = 0;
  std::jthread thread_;
};

void measure(const char* kind, int seconds_each) {
  const std::vector<guard::GuardedCommand> four(4, bench::victim({kind}));
  const MonotonicTime start = MonotonicClock::now();
  const double before = cpu_seconds();
  WatchingAlone watching(seconds_each);
  const auto runs = bench::run_all(four, {.timeout = std::chrono::seconds(seconds_each)});
  const double all = cpu_seconds() - before;
  const double took = seconds(MonotonicClock::now() - start);
  const double share = watching.join();
  fmt::print(
      "four {:<5} workers watched: {:.2f} % of a core; {:.2f} % of {} s with their start and end, "
      "which are {:.1f} ms of CPU time each",
      kind, 100 * share, 100 * all / took, seconds_each,
      1e3 * (all - share * took) / static_cast<double>(four.size()));
  for (const guard::GuardedRun& run : runs) {
    fmt::print("  {}", guard::to_string(run.record.outcome));
  }
  fmt::print("\n");
}

}  // namespace

int main(int argc, char** argv) {
  bench::be_victim_if_asked(argc, argv);
  const int seconds_each = argc > 1 ? std::max(2, std::atoi(argv[1])) : 10;
  measure("idle", seconds_each);
  measure("busy", seconds_each);
  return 0;
}
