#include <array>

#include "app/options.h"

// The table: range, unit and help of each key, in the order of the tree. The type and the default
// are those of the field in options.h.
namespace keisei::app {
namespace {

constexpr double kMany = 1e15;  // integers that a double holds exactly

constexpr std::array<std::string_view, 5> kNets = {"b2c32", "b4c64", "b6c64", "b10c128", "b20c256"};
constexpr std::array<std::string_view, 2> kDevices = {"cpu", "cuda"};
constexpr std::array<std::string_view, 1> kEvaluationDevices = {"cpu"};
constexpr std::array<std::string_view, 2> kStrategies = {"single", "shared"};
constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warning", "error"};

void add_training_sizes(std::vector<OptionKey>& keys) {
  keys.push_back({.name = "training.total_steps",
                  .field = [](Options& o) -> std::int64_t& { return o.training.total_steps; },
                  .min = 1,
                  .max = kMany,
                  .unit = "steps",
                  .help = "How long to train; a step is one ply played by one environment"});
  keys.push_back({.name = "training.environments",
                  .field = [](Options& o) -> std::int64_t& { return o.training.environments; },
                  .min = 1,
                  .max = 65536,
                  .unit = "games",
                  .help = "Games played side by side"});
  keys.push_back({.name = "training.rollout_steps",
                  .field = [](Options& o) -> std::int64_t& { return o.training.rollout_steps; },
                  .min = 1,
                  .max = 65536,
                  .unit = "plies",
                  .help = "Plies per environment between two updates"});
  keys.push_back({.name = "training.epochs",
                  .field = [](Options& o) -> std::int64_t& { return o.training.epochs; },
                  .min = 1,
                  .max = 100,
                  .help = "Passes over each rollout"});
  keys.push_back({.name = "training.minibatch",
                  .field = [](Options& o) -> std::int64_t& { return o.training.minibatch; },
                  .min = 1,
                  .max = 1048576,
                  .unit = "samples",
                  .help = "Samples per optimiser step"});
  keys.push_back({.name = "training.micro_batch",
                  .field = [](Options& o) -> std::int64_t& { return o.training.micro_batch; },
                  .min = 1,
                  .max = 1048576,
                  .unit = "samples",
                  .help = "Samples per forward and backward pass; bounds memory, changes results "
                          "by rounding only"});
}

void add_training_rates(std::vector<OptionKey>& keys) {
  keys.push_back({.name = "training.learning_rate",
                  .field = [](Options& o) -> double& { return o.training.learning_rate; },
                  .min = 1e-9,
                  .max = 1,
                  .help = "Of Adam, at the first step"});
  keys.push_back({.name = "training.final_learning_rate",
                  .field = [](Options& o) -> double& { return o.training.final_learning_rate; },
                  .min = 0,
                  .max = 1,
                  .help = "At the last step; linear in between"});
  keys.push_back({.name = "training.entropy_start",
                  .field = [](Options& o) -> double& { return o.training.entropy_start; },
                  .min = 0,
                  .max = 10,
                  .help = "Weight of the entropy bonus at the first step"});
  keys.push_back({.name = "training.entropy_end",
                  .field = [](Options& o) -> double& { return o.training.entropy_end; },
                  .min = 0,
                  .max = 10,
                  .help = "Weight of the entropy bonus at the last step; linear in between"});
  keys.push_back({.name = "training.clip",
                  .field = [](Options& o) -> double& { return o.training.clip; },
                  .min = 0.001,
                  .max = 10,
                  .help = "PPO clips the probability ratio at 1 - clip and 1 + clip"});
  keys.push_back({.name = "training.gae_lambda",
                  .field = [](Options& o) -> double& { return o.training.gae_lambda; },
                  .min = 0,
                  .max = 1,
                  .help = "Trace decay of the advantage estimate"});
}

void add_training_losses(std::vector<OptionKey>& keys) {
  keys.push_back({.name = "training.gamma",
                  .field = [](Options& o) -> double& { return o.training.gamma; },
                  .min = 0.001,
                  .max = 1,
                  .help = "Discount per ply"});
  keys.push_back({.name = "training.value_coefficient",
                  .field = [](Options& o) -> double& { return o.training.value_coefficient; },
                  .min = 0,
                  .max = 100,
                  .help = "Weight of the value loss"});
  keys.push_back({.name = "training.gradient_clip",
                  .field = [](Options& o) -> double& { return o.training.gradient_clip; },
                  .min = 1e-6,
                  .max = 1e6,
                  .help = "Longest gradient (L2 norm)"});
  keys.push_back({.name = "training.kl_stop",
                  .field = [](Options& o) -> double& { return o.training.kl_stop; },
                  .min = 1e-6,
                  .max = 100,
                  .unit = "nats",
                  .help = "An update ends early when the policy has moved this far"});
  keys.push_back({.name = "training.net",
                  .field = [](Options& o) -> std::string& { return o.training.net; },
                  .choices = kNets,
                  .help = "Residual blocks and channels of the network"});
}

void add_training_run(std::vector<OptionKey>& keys) {
  keys.push_back(
      {.name = "training.workers",
       .field = [](Options& o) -> std::int64_t& { return o.training.workers; },
       .min = 1,
       .max = 1024,
       .unit = "threads",
       .help = "Threads that play and compute gradients; the result does not depend on it"});
  keys.push_back({.name = "training.seed",
                  .field = [](Options& o) -> std::int64_t& { return o.training.seed; },
                  .min = 0,
                  .max = kMany,
                  .help = "Of everything random in training"});
  keys.push_back({.name = "training.device",
                  .field = [](Options& o) -> std::string& { return o.training.device; },
                  .choices = kDevices,
                  .help = "Where the learner computes; \"cuda\" needs a LibTorch built with it"});
  keys.push_back({.name = "training.max_plies",
                  .field = [](Options& o) -> std::int64_t& { return o.training.max_plies; },
                  .min = 1,
                  .max = 32767,
                  .unit = "plies",
                  .help = "A longer game is cut off, as neither won nor lost"});
}

void add_checkpoints(std::vector<OptionKey>& keys) {
  keys.push_back({.name = "checkpoints.interval_steps",
                  .field = [](Options& o) -> std::int64_t& { return o.checkpoints.interval_steps; },
                  .min = 1,
                  .max = kMany,
                  .unit = "steps",
                  .help = "Between two saved checkpoints; one is always saved at the end"});
  keys.push_back({.name = "checkpoints.keep",
                  .field = [](Options& o) -> std::int64_t& { return o.checkpoints.keep; },
                  .min = 1,
                  .max = 1000000,
                  .unit = "files",
                  .help = "The newest to keep; older ones are deleted"});
}

void add_evaluation(std::vector<OptionKey>& keys) {
  keys.push_back({.name = "evaluation.enabled",
                  .field = [](Options& o) -> bool& { return o.evaluation.enabled; },
                  .help = "Whether to evaluate while training"});
  keys.push_back({.name = "evaluation.interval_steps",
                  .field = [](Options& o) -> std::int64_t& { return o.evaluation.interval_steps; },
                  .min = 1,
                  .max = kMany,
                  .unit = "steps",
                  .help = "Between two evaluations"});
  keys.push_back(
      {.name = "evaluation.games",
       .field = [](Options& o) -> std::int64_t& { return o.evaluation.games; },
       .min = 1,
       .max = 100000,
       .unit = "games",
       .help = "Per evaluation and opponent, in pairs with colours swapped; see strategy"});
  keys.push_back(
      {.name = "evaluation.opponents",
       .field = [](Options& o) -> std::vector<std::string>& { return o.evaluation.opponents; },
       .help = "Each one of: random, heuristic, a checkpoint file"});
  keys.push_back({.name = "evaluation.strategy",
                  .field = [](Options& o) -> std::string& { return o.evaluation.strategy; },
                  .choices = kStrategies,
                  .help = "How games are dealt out: single plays all against each opponent; shared "
                          "divides them among the opponents, in pairs"});
  keys.push_back({.name = "evaluation.device",
                  .field = [](Options& o) -> std::string& { return o.evaluation.device; },
                  .choices = kEvaluationDevices,
                  .help = "Where the worker computes"});
  keys.push_back({.name = "evaluation.threads",
                  .field = [](Options& o) -> std::int64_t& { return o.evaluation.threads; },
                  .min = 1,
                  .max = 64,
                  .unit = "threads",
                  .help = "Compute threads of the worker"});
  keys.push_back({.name = "evaluation.max_plies",
                  .field = [](Options& o) -> std::int64_t& { return o.evaluation.max_plies; },
                  .min = 5,  // above the random plies of an opening
                  .max = 32767,
                  .unit = "plies",
                  .help = "A longer game is drawn"});
  keys.push_back({.name = "evaluation.seed",
                  .field = [](Options& o) -> std::int64_t& { return o.evaluation.seed; },
                  .min = 0,
                  .max = kMany,
                  .help = "Of openings and of random players"});
  keys.push_back(
      {.name = "evaluation.worker",
       .field = [](Options& o) -> std::string& { return o.evaluation.worker; },
       .help = "Program that plays the games; empty: the keisei-worker beside this program"});
  keys.push_back({.name = "evaluation.degrade",
                  .field = [](Options& o) -> bool& { return o.evaluation.degrade; },
                  .help = "Beside training: a quarter of the games, then one thread, while the "
                          "machine is under pressure; false: all games, later or not at all"});
}

void add_evaluation_limits(std::vector<OptionKey>& keys) {
  keys.push_back(
      {.name = "evaluation.limits.max_concurrent",
       .field = [](Options& o) -> std::int64_t& { return o.evaluation.limits.max_concurrent; },
       .min = 1,
       .max = 4,  // a promise, not a preference
       .unit = "evaluations",
       .help = "At once, over all processes that share a run directory"});
  keys.push_back({.name = "evaluation.limits.timeout_s",
                  .field = [](Options& o) -> double& { return o.evaluation.limits.timeout_s; },
                  .min = 0.01,
                  .max = 86400,
                  .unit = "seconds",
                  .help = "Wall time of one evaluation, paused time included; then it is killed"});
  keys.push_back(
      {.name = "evaluation.limits.memory_mb",
       .field = [](Options& o) -> std::int64_t& { return o.evaluation.limits.memory_mb; },
       .min = 1,
       .max = 1000000000,
       .unit = "MB",
       .help = "Private memory of the whole process tree; beyond it is killed"});
  keys.push_back({.name = "evaluation.limits.cpu_percent",
                  .field = [](Options& o) -> std::optional<double>& {
                    return o.evaluation.limits.cpu_percent;
                  },
                  .min = 1,
                  .max = 102400,
                  .unit = "percent of one core",
                  .help = "CPU time of the whole process tree; unset: no limit"});
  keys.push_back(
      {.name = "evaluation.limits.processes",
       .field = [](Options& o) -> std::int64_t& { return o.evaluation.limits.processes; },
       .min = 1,
       .max = 32768,
       .unit = "processes",
       .help = "At once, in the whole process tree"});
  keys.push_back({.name = "evaluation.limits.file_mb",
                  .field = [](Options& o) -> std::int64_t& { return o.evaluation.limits.file_mb; },
                  .min = 1,
                  .max = 1000000000,
                  .unit = "MB",
                  .help = "Of each file that the evaluation writes"});
  keys.push_back({.name = "evaluation.limits.queue",
                  .field = [](Options& o) -> std::int64_t& { return o.evaluation.limits.queue; },
                  .min = 0,
                  .max = 1000,
                  .unit = "evaluations",
                  .help = "That may wait for a slot; one more is rejected"});
}

void add_evaluation_sla(std::vector<OptionKey>& keys) {
  keys.push_back({.name = "evaluation.sla.latency_ms",
                  .field = [](Options& o) -> double& { return o.evaluation.sla.latency_ms; },
                  .min = 0.001,
                  .max = 86400000,
                  .unit = "milliseconds",
                  .help = "From admission to the report"});
  keys.push_back(
      {.name = "evaluation.sla.memory_overhead_mb",
       .field = [](Options& o) -> double& { return o.evaluation.sla.memory_overhead_mb; },
       .min = 0.001,
       .max = 1e9,
       .unit = "MB",
       .help = "Peak private memory of the whole process tree"});
  keys.push_back(
      {.name = "evaluation.sla.training_impact_percent",
       .field = [](Options& o) -> double& { return o.evaluation.sla.training_impact_percent; },
       .min = 0.001,
       .max = 100,
       .unit = "percent",
       .help = "Of the training throughput lost to evaluations"});
  keys.push_back(
      {.name = "evaluation.sla.gpu_utilization_percent",
       .field = [](Options& o) -> double& { return o.evaluation.sla.gpu_utilization_percent; },
       .min = 0.001,
       .max = 100,
       .unit = "percent",
       .help = "SM time that the evaluation uses"});
}

void add_evaluation_enforcement(std::vector<OptionKey>& keys) {
  keys.push_back(
      {.name = "evaluation.enforcement.enabled",
       .field = [](Options& o) -> bool& { return o.evaluation.enforcement.enabled; },
       .help = "false: limits are measured and judged, but nothing is stopped for them"});
}

void add_log(std::vector<OptionKey>& keys) {
  keys.push_back({.name = "log.level",
                  .field = [](Options& o) -> std::string& { return o.log.level; },
                  .choices = kLevels,
                  .help = "Least important line that is written"});
  keys.push_back({.name = "log.file",
                  .field = [](Options& o) -> std::string& { return o.log.file; },
                  .help = "JSON lines, relative to the run directory; empty: none"});
}

}  // namespace

std::span<const OptionKey> option_keys() {
  static const std::vector<OptionKey> table = [] {
    std::vector<OptionKey> keys;
    add_training_sizes(keys);
    add_training_rates(keys);
    add_training_losses(keys);
    add_training_run(keys);
    add_checkpoints(keys);
    add_evaluation(keys);
    add_evaluation_limits(keys);
    add_evaluation_sla(keys);
    add_evaluation_enforcement(keys);
    add_log(keys);
    return keys;
  }();
  return table;
}

}  // namespace keisei::app
