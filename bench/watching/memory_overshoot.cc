// memory_overshoot [RUNS [CASE|all [REST [LIMIT]]]]: by how much a worker that touches memory as
// fast as it can gets above its limit (300 MB) before it is stopped, counted by the worker itself.
// `malloc` is held by RLIMIT_DATA (the target is 0); the others only by polling (64 MB): shared
// mappings, memfds that nobody maps, two processes, a hundred. With REST they have been asleep for
// so many milliseconds, and are looked at rarely, when they begin.
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/clock.h"
#include "base/unique_fd.h"
#include "quantile.h"
#include "watched_runs.h"

namespace {

using namespace keisei;

struct Attack {
  std::string how;
  std::string rest_ms = "0";
  int limit_mb = 300;
};

void measure(const Attack& attack, int runs) {
  std::vector<double> overshoot;
  std::vector<double> rate;  // MB/s
  for (int i = 0; i < runs; ++i) {
    const UniqueFd page(memfd_create("counter", MFD_CLOEXEC));
    KEISEI_CHECK(ftruncate(page.get(), sizeof(std::int64_t)) == 0, "ftruncate");
    void* memory = mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, page.get(), 0);
    KEISEI_CHECK(memory != MAP_FAILED, "mmap");
    guard::GuardedCommand command = bench::victim({"touch", attack.how, attack.rest_ms});
    command.fds = {{page.get(), bench::kCounterFd}};
    const auto ends =
        bench::run_all({command}, {.memory = megabytes(attack.limit_mb), .processes = 200});
    const guard::GuardRecord& record = ends.front().record;
    const auto touched =
        static_cast<double>(static_cast<const std::atomic<std::int64_t>*>(memory)->load());
    munmap(memory, sizeof(std::int64_t));
    if (record.outcome != guard::Outcome::OverMemory) {
      fmt::print(stderr, "{}: {}: {}\n", attack.how, guard::to_string(record.outcome),
                 record.cause);
      std::exit(1);
    }
    overshoot.push_back(std::max(0.0, touched - attack.limit_mb));
    rate.push_back(
        touched /
        (record.latency_ms - std::atof(attack.rest_ms.c_str()) + record.kill_ms.value_or(0)) * 1e3);
  }
  fmt::print(
      "{:<9} {} runs at {:4.0f} MB/s (start and end included): overshoot p50 {:3.0f}  p90 {:3.0f}  "
      "max {:3.0f} MB\n",
      attack.how, runs, bench::quantile(rate, 0.5), bench::quantile(overshoot, 0.5),
      bench::quantile(overshoot, 0.9), bench::quantile(overshoot, 1));
}

}  // namespace

int main(int argc, char** argv) {
  bench::be_victim_if_asked(argc, argv);
  const int runs = argc > 1 ? std::max(1, std::atoi(argv[1])) : 20;
  for (const std::string_view how : {"malloc", "shared", "memfd", "children", "hundred"}) {
    if (argc < 3 || how == argv[2] || std::string_view(argv[2]) == "all") {
      Attack attack{.how = std::string(how)};
      attack.rest_ms = argc > 3 ? argv[3] : attack.rest_ms;
      attack.limit_mb = argc > 4 ? std::max(1, std::atoi(argv[4])) : attack.limit_mb;
      measure(attack, runs);
    }
  }
  return 0;
}
