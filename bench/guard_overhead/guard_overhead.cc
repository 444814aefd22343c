// guard_overhead [RUNS]: what `keisei guard -- true` costs next to `true` started directly, both by
// posix_spawn from this program, alternating. Prints medians in ms; the target for the guard is 15
// ms or less.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/clock.h"
#include "os/child.h"
#include "os/program.h"
#include "quantile.h"

namespace {

using keisei::bench::quantile;

double run_ms(const std::vector<std::string>& argv) {
  const keisei::MonotonicTime start = keisei::MonotonicClock::now();
  auto child = keisei::os::Child::spawn(
      {.argv = argv, .environment = keisei::os::current_environment(), .fds = {}});
  if (!child || !child->wait().success()) {
    fmt::print(stderr, "{} failed{}\n", argv.front(), child ? "" : ": " + child.error().message);
    std::exit(1);
  }
  return keisei::milliseconds(keisei::MonotonicClock::now() - start);
}

}  // namespace

int main(int argc, char** argv) {
  const int runs = argc > 1 ? std::max(1, std::atoi(argv[1])) : 50;
  const auto keisei_program = keisei::os::find_program("keisei");
  if (!keisei_program) {
    fmt::print(stderr, "{}\n", keisei_program.error().message);
    return 1;
  }
  const std::vector<std::string> plain = {"/bin/true"};
  std::vector<std::string> guarded = {keisei_program->string(), "guard", "--", "/bin/true"};
  std::vector<std::string> strict = {keisei_program->string(), "guard", "--strict", "--",
                                     "/bin/true"};
  std::vector<double> plain_ms;
  std::vector<double> guarded_ms;
  std::vector<double> strict_ms;
  for (int i = 0; i < runs; ++i) {
    plain_ms.push_back(run_ms(plain));
    guarded_ms.push_back(run_ms(guarded));
    strict_ms.push_back(run_ms(strict));
  }
  const auto line = [](const char* name, const std::vector<double>& values) {
    fmt::print("{:<32} median {:6.2f} ms   p90 {:6.2f} ms\n", name, quantile(values, 0.5),
               quantile(values, 0.9));
  };
  line("true", plain_ms);
  line("keisei guard -- true", guarded_ms);
  line("keisei guard --strict -- true", strict_ms);
  return 0;
}
