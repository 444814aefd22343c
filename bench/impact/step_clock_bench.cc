// What a tick costs the training, and a look the supervisor. The limit of a tick is the clock:
// reading it is most of the time.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <time.h>

#include "telemetry/step_clock.h"

namespace {

using keisei::UniqueFd;
using keisei::telemetry::Phase;
using keisei::telemetry::StepClockReader;
using keisei::telemetry::StepClockWriter;

void tick(benchmark::State& state) {
  auto writer = StepClockWriter::create();
  if (!writer) {
    return state.SkipWithError(writer.error().message.c_str());
  }
  std::uint64_t units = 0;
  for (auto _ : state) {
    writer->tick(units % 2 == 0 ? Phase::RolloutInference : Phase::RolloutEnvironment, units);
    ++units;
  }
}
BENCHMARK(tick);

void clock_alone(benchmark::State& state) {
  for (auto _ : state) {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    benchmark::DoNotOptimize(now);
  }
}
BENCHMARK(clock_alone);

void read(benchmark::State& state) {
  auto writer = StepClockWriter::create();
  auto reader = writer ? StepClockReader::attach(UniqueFd(fcntl(writer->fd(), F_DUPFD_CLOEXEC, 0)))
                       : keisei::fail("no step clock");
  if (!reader) {
    return state.SkipWithError(reader.error().message.c_str());
  }
  writer->tick(Phase::Update, 1);
  for (auto _ : state) {
    auto reading = reader->read();
    benchmark::DoNotOptimize(reading);
  }
}
BENCHMARK(read);

}  // namespace

BENCHMARK_MAIN();
