// Steps of the batched environment, and the planes of what it shows.
//   environment_bench --benchmark_filter=...
#include <benchmark/benchmark.h>

#include <cstring>
#include <span>
#include <vector>

#include "allocations.h"
#include "base/rng.h"
#include "env/environment.h"
#include "env/legal_actions.h"
#include "env/plain_planes.h"

namespace keisei::env {
namespace {

/// Games that play at random for ever, all stepped together.
class RandomGames {
 public:
  RandomGames(int games, std::uint64_t seed)
      : environment_(games, {}),
        random_(seed, 0),
        actions_(static_cast<std::size_t>(games)),
        results_(actions_.size()),
        observations_(actions_.size()) {
    for (int game = 0; game < games; ++game) {
      games_.push_back(game);
    }
  }

  void play(int plies) {
    for (int ply = 0; ply < plies; ++ply) {
      step();
    }
  }

  /// One ply of each game, and what the next choice is made from: legal list and observation.
  void step() {
    for (const int game : games_) {
      const std::span<const Action> legal = environment_.legal_actions(game);
      legal_ += static_cast<std::int64_t>(legal.size());
      actions_[static_cast<std::size_t>(game)] =
          legal[random_.below(static_cast<std::uint32_t>(legal.size()))];
    }
    environment_.apply(games_, actions_, results_);
    for (const int game : games_) {
      if (results_[static_cast<std::size_t>(game)].terminal) {
        environment_.reset(game);
      }
    }
    environment_.observe(games_, observations_);
  }

  [[nodiscard]] std::span<const Observation> observations() const { return observations_; }
  [[nodiscard]] std::int64_t legal() const { return legal_; }

 private:
  Environment environment_;
  Rng random_;
  std::vector<int> games_;
  std::vector<Action> actions_;
  std::vector<StepResult> results_;
  std::vector<Observation> observations_;
  std::int64_t legal_ = 0;  // moves in all lists so far
};

/// Argument: games. Steps are items; each thread has games of its own.
void environment_step(benchmark::State& state) {
  RandomGames games(static_cast<int>(state.range(0)),
                    static_cast<std::uint64_t>(state.thread_index()));
  games.play(500);  // so that they are of all ages
  std::int64_t allocated = 0;
  const std::int64_t legal_before = games.legal();
  for (auto _ : state) {
    const std::int64_t before = allocations();
    games.step();
    allocated += allocations() - before;
    benchmark::DoNotOptimize(games.observations().data());
    benchmark::ClobberMemory();
  }
  const auto steps = static_cast<double>(state.iterations() * state.range(0));
  state.SetItemsProcessed(state.iterations() * state.range(0));
  using benchmark::Counter;
  state.counters["allocations"] = static_cast<double>(allocated);
  if (allocated != 0) {
    state.SkipWithError("a step allocated");
  }
  state.counters["legal_moves"] =
      Counter(static_cast<double>(games.legal() - legal_before) / steps, Counter::kAvgThreads);
}
BENCHMARK(environment_step)->Arg(64)->Arg(256)->Threads(1)->Threads(2)->UseRealTime();

/// Legal lists made anew from observations, as an update does instead of keeping them.
void legal_actions(benchmark::State& state) {
  RandomGames games(64, 1);
  games.play(500);
  for (auto _ : state) {
    for (const Observation& seen : games.observations()) {
      benchmark::DoNotOptimize(LegalActions(seen).size());
    }
  }
  state.SetItemsProcessed(state.iterations() * 64);
}
BENCHMARK(legal_actions)->UseRealTime();

/// Argument: batch size.
template <typename Expand>
void expand(benchmark::State& state, Expand expand_batch) {
  RandomGames games(static_cast<int>(state.range(0)), 1);
  games.play(500);
  std::vector<float> planes(games.observations().size() * kPlaneFloats);
  for (auto _ : state) {
    expand_batch(games.observations(), planes);
    benchmark::DoNotOptimize(planes.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.SetBytesProcessed(state.iterations() *
                          static_cast<std::int64_t>(planes.size() * sizeof(float)));
}
BENCHMARK_CAPTURE(expand, planes, expand_planes)->Arg(1)->Arg(8)->Arg(64)->UseRealTime();

/// The same by loops over planes, turned afterwards.
void expand_plainly(std::span<const Observation> batch, std::span<float> planes) {
  for (std::size_t i = 0; i < batch.size(); ++i) {
    plain_planes(batch[i], planes.subspan(i * kPlaneFloats, kPlaneFloats));
  }
}
BENCHMARK_CAPTURE(expand, plainly, expand_plainly)->Arg(1)->Arg(8)->Arg(64)->UseRealTime();

/// The limit of both: as many bytes set to zero.
void zero(std::span<const Observation> /*batch*/, std::span<float> planes) {
  std::memset(planes.data(), 0, planes.size_bytes());
}
BENCHMARK_CAPTURE(expand, zeros, zero)->Arg(1)->Arg(8)->Arg(64)->UseRealTime();

}  // namespace
}  // namespace keisei::env

BENCHMARK_MAIN();
