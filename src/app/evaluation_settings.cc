#include "app/evaluation_settings.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "os/program.h"

namespace keisei::app {

Result<guard::EvaluationLimits> limits_from(const Options& options) {
  const LimitOptions& limits = options.evaluation.limits;
  guard::EvaluationLimits result{
      .max_concurrent = static_cast<int>(limits.max_concurrent),
      .timeout = std::chrono::nanoseconds(std::llround(limits.timeout_s * 1e9)),
      .memory = megabytes(limits.memory_mb),
      .cpu_percent = limits.cpu_percent,
      .processes = static_cast<int>(limits.processes),
      .file_size = megabytes(limits.file_mb),
      .queue = static_cast<int>(limits.queue)};
  KEISEI_TRY(memory, guard::host_memory());
  if (result.memory > memory) {
    constexpr const char* kKey = "evaluation.limits.memory_mb";
    return usage_error(
        "{} is {} ({}), above this host's memory of {}: it would protect nothing; set it lower",
        kKey, limits.memory_mb, origin_of(options, kKey), to_string(memory));
  }
  KEISEI_TRY_VOID(guard::validate(result, memory));
  return result;
}

guard::EvaluationPerformanceSLA sla_from(const Options& options) {
  const SlaOptions& sla = options.evaluation.sla;
  return {.latency_ms = sla.latency_ms,
          .memory_overhead_mb = sla.memory_overhead_mb,
          .training_impact_percent = sla.training_impact_percent,
          .gpu_utilization_percent = sla.gpu_utilization_percent};
}

namespace {

constexpr std::ptrdiff_t kMostCheckpoints = 8;  // the worker inherits a descriptor for each

Result<std::filesystem::path> worker_program(const std::string& configured) {
  if (configured.empty()) {
    return os::find_program("keisei-worker");
  }
  std::error_code error;
  const std::filesystem::path path = std::filesystem::absolute(configured, error);
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  std::string wrong;
  if (!std::filesystem::exists(status)) {
    wrong = error ? error.message() : "not there";
  } else if (!std::filesystem::is_regular_file(status)) {
    wrong = "no program";
  } else if (::access(path.c_str(), X_OK) != 0) {
    wrong = "not executable";
  }
  if (!wrong.empty()) {
    return usage_error("evaluation.worker: {}: {}; leave it out for this build's keisei-worker",
                       path.string(), wrong);
  }
  return path;
}

/// The table of options knows no third word.
eval::Strategy strategy_of(std::string_view word) {
  return word == "shared" ? eval::Strategy::Shared : eval::Strategy::Single;
}

}  // namespace

Result<eval::EvaluationSettings> settings_from(const Options& options,
                                               const std::filesystem::path& run_directory) {
  const EvaluationOptions& evaluation = options.evaluation;
  eval::EvaluationSettings settings{
      .opponents = {},
      .games = static_cast<int>(evaluation.games),
      .strategy = strategy_of(evaluation.strategy),
      .max_plies = static_cast<int>(evaluation.max_plies),
      .threads = static_cast<int>(evaluation.threads),
      .seed = static_cast<std::uint64_t>(evaluation.seed),
      .enforcement = evaluation.enforcement.enabled ? guard::Enforcement::Enabled
                                                    : guard::Enforcement::Disabled,
      .shrinking = evaluation.degrade ? eval::Shrinking::Allowed : eval::Shrinking::Never,
      .worker = {},
      .run_directory = run_directory};
  for (const std::string& text : evaluation.opponents) {
    KEISEI_TRY(opponent, match::parse_player_spec(text));
    settings.opponents.push_back(std::move(opponent));
  }
  const auto checkpoints = std::ranges::count(settings.opponents, match::PlayerKind::Checkpoint,
                                              &match::PlayerSpec::kind);
  if (checkpoints > kMostCheckpoints) {
    return usage_error("evaluation.opponents names {} checkpoints: {} at most", checkpoints,
                       kMostCheckpoints);
  }
  KEISEI_TRY(worker, worker_program(evaluation.worker));
  settings.worker = std::move(worker);
  return settings;
}

}  // namespace keisei::app
