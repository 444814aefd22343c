// timeout_accuracy [RUNS]: how long after its deadline a run ends, in ms: the decision, and the
// whole tree gone. Workers that sleep, that spin, and that spin under a CPU limit of 10 %, which
// stands still most of the time. The target is a decision within 20 ms.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/clock.h"
#include "quantile.h"
#include "watched_runs.h"

namespace {

using namespace keisei;
using namespace std::chrono_literals;

constexpr auto kTimeout = 200ms;

void measure(const char* name, const char* kind, std::optional<double> cpu_percent, int runs) {
  const guard::EvaluationLimits limits = {.timeout = kTimeout, .cpu_percent = cpu_percent};
  std::vector<double> decided;
  std::vector<double> gone;
  double paused = 0;
  for (int i = 0; i < runs; ++i) {
    const auto ends = bench::run_all({bench::victim({kind})}, limits);
    const guard::GuardRecord& record = ends.front().record;
    if (record.outcome != guard::Outcome::TimedOut) {
      fmt::print(stderr, "{}: {}\n", guard::to_string(record.outcome), record.cause);
      std::exit(1);
    }
    decided.push_back(record.latency_ms - milliseconds(kTimeout));
    gone.push_back(decided.back() + record.kill_ms.value_or(0));
    paused += record.paused_ms / runs;
  }
  fmt::print(
      "{:<28} {} runs, {:3.0f} ms of each paused: decided after p50 {:5.2f}  p90 {:5.2f}  max "
      "{:5.2f} ms"
      "   gone p50 {:5.2f}  p90 {:5.2f}  max {:5.2f} ms\n",
      name, runs, paused, bench::quantile(decided, 0.5), bench::quantile(decided, 0.9),
      bench::quantile(decided, 1), bench::quantile(gone, 0.5), bench::quantile(gone, 0.9),
      bench::quantile(gone, 1));
}

}  // namespace

int main(int argc, char** argv) {
  bench::be_victim_if_asked(argc, argv);
  const int runs = argc > 1 ? std::max(1, std::atoi(argv[1])) : 40;
  measure("sleeping", "idle", std::nullopt, runs);
  measure("spinning", "busy", std::nullopt, runs);
  measure("spinning, CPU limit 10 %", "busy", 10, runs);
  return 0;
}
