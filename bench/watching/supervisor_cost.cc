// supervisor_cost [SECONDS]: CPU time of the guarding process while it watches four workers, as a
// share of one core. First four that sleep, then four that spin. The target is 1 % or less.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>

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

void measure(const char* kind, int seconds_each) {
  const std::vector<guard::GuardedCommand> four(4, bench::victim({kind}));
  const MonotonicTime start = MonotonicClock::now();
  const double before = cpu_seconds();
  const auto runs = bench::run_all(four, {.timeout = std::chrono::seconds(seconds_each)});
  const double share = (cpu_seconds() - before) / seconds(MonotonicClock::now() - start);
  fmt::print("four {:<5} workers watched for {} s: {:.2f} % of a core", kind, seconds_each,
             100 * share);
  for (const guard::GuardedRun& run : runs) {
    fmt::print("  {}", guard::to_string(run.record.outcome));
  }
  fmt::print("\n");
}

}  // namespace

int main(int argc, char** argv) {
  bench::be_victim_if_asked(argc, argv);
  const int seconds_each = argc > 1 ? std::max(1, std::atoi(argv[1])) : 10;
  measure("idle", seconds_each);
  measure("busy", seconds_each);
  return 0;
}
