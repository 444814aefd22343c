// Forward passes, and what an evaluation costs the training thread.
//   net_bench --benchmark_filter=...
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/check.h"
#include "base/rng.h"
#include "net/onednn/onednn_evaluator.h"
#include "net/snapshot.h"
#include "telemetry/evaluation_channel.h"
#include "train/async_evaluation_callback.h"

namespace keisei::net {
namespace {

constexpr NetSpec kSpecs[] = {{2, 32}, {4, 64}, {6, 64}, {10, 128}};

/// Arguments: index into kSpecs, batch size. Positions per second are items per second.
void onednn_forward(benchmark::State& state) {
  const NetSpec& spec = kSpecs[state.range(0)];
  const auto batch = static_cast<std::size_t>(state.range(1));
  auto fd = seal_weights(spec, 1, initial_weights(spec, 1));
  const Snapshot snapshot = std::move(*Snapshot::from_fd(std::move(*fd)));
  const auto evaluator = std::move(*OneDnnEvaluator::create(*snapshot.weights()));
  std::vector<env::Observation> observations(batch);
  Rng random(1, 1);
  for (env::Observation& observation : observations) {
    observation.ply_cap = 1;
    for (std::uint8_t& piece : observation.board) {
      piece = static_cast<std::uint8_t>(random.below(3) == 0 ? random.below(29) : 0);
    }
  }
  std::vector<float> policy(batch * kPolicyLogits);
  std::vector<float> wdl(batch * kWdlLogits);
  const Result<void> warmed_up = evaluator->evaluate(observations, policy, wdl);
  KEISEI_CHECK(warmed_up, "{}", warmed_up.error().message);
  for (auto _ : state) {
    if (const Result<void> done = evaluator->evaluate(observations, policy, wdl); !done) {
      state.SkipWithError(done.error().message.c_str());
      break;
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
  state.SetLabel(to_string(spec));
}
BENCHMARK(onednn_forward)->ArgsProduct({{0, 1, 2, 3}, {1, 8, 10, 20, 64}})->UseRealTime();

/// What an evaluation costs the training thread: the whole AsyncEvaluationCallback, snapshot
/// written, sealed and sent over a real channel. The receiving end is emptied outside the measured
/// time.
void evaluation_callback(benchmark::State& state) {
  const NetSpec& spec = kSpecs[state.range(0)];
  const std::vector<float> weights = initial_weights(spec, 1);
  std::string directory = (std::filesystem::temp_directory_path() / "keisei-bench-XXXXXX").string();
  KEISEI_CHECK(::mkdtemp(directory.data()) != nullptr, "no temporary directory");
  auto listening = telemetry::listen_in(directory);
  KEISEI_CHECK(listening, "{}", listening.error().message);
  telemetry::ChannelSender sender(std::move(*listening), -1);
  auto receiver = telemetry::ChannelReceiver::connect_in(directory);
  KEISEI_CHECK(receiver, "{}", receiver.error().message);
  sender.poll_accept({.pid = 1, .step = 0, .net = to_string(spec)});
  train::AsyncEvaluationCallback callback(sender, 1);
  const telemetry::UpdateRecord update;
  std::int64_t step = 0;
  for (auto _ : state) {
    callback.on_step_end({.previous_step = step,
                          .step = step + 1,
                          .spec = spec,
                          .weights = weights,
                          .update = update});
    ++step;
    state.PauseTiming();
    while (receiver->receive().value().has_value()) {
    }
    state.ResumeTiming();
  }
  KEISEI_CHECK(callback.skipped() == 0, "{} notices were skipped", callback.skipped());
  std::filesystem::remove_all(directory);
  state.SetLabel(to_string(spec));
}
BENCHMARK(evaluation_callback)->DenseRange(0, 2)->Unit(benchmark::kMicrosecond)->UseRealTime();

}  // namespace
}  // namespace keisei::net

BENCHMARK_MAIN();
