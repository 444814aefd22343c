#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <filesystem>
#include <list>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "eval/strategy.h"
#include "guard/background.h"
#include "guard/performance_manager.h"
#include "match/player.h"
#include "net/snapshot.h"
#include "telemetry/evaluation_channel.h"
#include "telemetry/records.h"
#include "telemetry/sink.h"

namespace keisei::eval {

/// Whether pressure on the machine may make an evaluation smaller. Never: all games, or none.
enum class Shrinking { Allowed, Never };

/// What every evaluation of a run has in common.
struct EvaluationSettings {
  std::vector<match::PlayerSpec> opponents;
  int games = 20;
  Strategy strategy = Strategy::Single;
  int opening_plies = 4;  // random plies that both games of a pair begin with
  int max_plies = 512;    // ply cap
  int threads = 1;        // of the worker's network
  std::uint64_t seed =
      1;  // the same for all, so that evaluations of one run play the same openings
  guard::Enforcement enforcement = guard::Enforcement::Enabled;
  Shrinking shrinking = Shrinking::Allowed;
  std::filesystem::path worker;  // the program that plays
  std::filesystem::path
      run_directory;  // gets evaluations/<id>/{request,report}.json, games/<id>.usi
};

/// Three entries, one road:
///   checkpoint file, current weights, notice of the learner -> Snapshot -> request ->
///   EvaluationPerformanceManager::run_evaluation_with_safeguards -> verified report -> record ->
///   sink
/// Owned and used by the loop thread. What waits for the disk or reads reports has a thread of its
/// own, so that the loop goes on. The loop outlives this.
class EvaluationManager {
 public:
  /// All three outlive the manager and its evaluations.
  EvaluationManager(guard::EvaluationPerformanceManager& guard, telemetry::RecordSink& sink,
                    EvaluationSettings settings);

  /// Each runs to its end, whatever that is, and gives the record that it put into the sink. An
  /// Error only where it could not even be asked for or written down: no such checkpoint, a full
  /// disk. What a library throws ends the evaluation and is thrown.
  boost::asio::awaitable<Result<telemetry::EvaluationRecord>> evaluate_checkpoint(
      std::filesystem::path checkpoint);
  boost::asio::awaitable<Result<telemetry::EvaluationRecord>> evaluate_current_agent(
      net::Snapshot snapshot);
  boost::asio::awaitable<Result<telemetry::EvaluationRecord>> evaluate_notice(
      telemetry::Notice notice);

  /// Ends all that run or wait, as `reason`.
  void cancel_all(guard::Outcome reason, const std::string& cause);

  /// How many run or wait.
  [[nodiscard]] int active() const { return static_cast<int>(controls_.size()); }

 private:
  /// What is evaluated, not opened yet.
  using Source = std::variant<std::filesystem::path, net::Snapshot, telemetry::Notice>;

  boost::asio::awaitable<Result<telemetry::EvaluationRecord>> evaluate(
      Source source, telemetry::EvaluationEntry entry);
  boost::asio::awaitable<Result<telemetry::EvaluationRecord>> run(Source source,
                                                                  telemetry::EvaluationEntry entry,
                                                                  guard::RunControl& control);

  guard::EvaluationPerformanceManager& guard_;
  telemetry::RecordSink& sink_;
  const EvaluationSettings settings_;
  std::list<guard::RunControl> controls_;  // one per evaluation that runs or waits
  guard::Background background_;           // last: what it has begun ends before the rest goes
};

}  // namespace keisei::eval
