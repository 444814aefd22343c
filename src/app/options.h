#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

// The whole configuration: one typed tree, and one table with the range, unit and help of each key.
//
//   command line > environment > file > the initialisers below  ──load_options──>  Options
namespace keisei::app {

/// [training]
struct TrainingOptions {
  std::int64_t total_steps = 10'000'000;
  std::int64_t environments = 128;
  std::int64_t rollout_steps = 64;  // per environment and update
  std::int64_t epochs = 2;
  std::int64_t minibatch = 512;
  std::int64_t micro_batch = 128;
  double learning_rate = 1e-3;
  double final_learning_rate = 3e-4;
  double entropy_start = 0.01;
  double entropy_end = 0.001;
  double clip = 0.2;
  double gae_lambda = 0.95;
  double gamma = 1.0;
  double value_coefficient = 1.0;
  double gradient_clip = 1.0;
  double kl_stop = 0.03;
  std::string net = "b2c32";
  std::int64_t workers = 2;
  std::int64_t seed = 1;
  std::string device = "cpu";
  std::int64_t max_plies = 320;

  friend bool operator==(const TrainingOptions&, const TrainingOptions&) = default;
};

/// [checkpoints]
struct CheckpointOptions {
  std::int64_t interval_steps = 250'000;
  std::int64_t keep = 10;

  friend bool operator==(const CheckpointOptions&, const CheckpointOptions&) = default;
};

/// [evaluation.limits]
struct LimitOptions {
  std::int64_t max_concurrent = 4;
  double timeout_s = 300;
  std::int64_t memory_mb = 500;
  std::optional<double> cpu_percent;  // absent: not limited
  std::int64_t processes = 64;
  std::int64_t file_mb = 100;
  std::int64_t queue = 16;
};

/// [evaluation.sla]
struct SlaOptions {
  double latency_ms = 5000;
  double memory_overhead_mb = 500;
  double training_impact_percent = 5;
  double gpu_utilization_percent = 80;
};

/// [evaluation.enforcement]
struct EnforcementOptions {
  bool enabled = true;
};

/// [evaluation]
struct EvaluationOptions {
  bool enabled = true;
  std::int64_t interval_steps = 50'000;
  std::int64_t games = 20;
  std::vector<std::string> opponents = {"random"};
  std::string strategy = "single";
  std::string device = "cpu";
  std::int64_t threads = 1;
  std::int64_t max_plies = 512;
  std::int64_t seed = 1;
  std::string worker;  // empty: the keisei-worker beside this program
  bool degrade = true;
  LimitOptions limits;
  SlaOptions sla;
  EnforcementOptions enforcement;
};

/// [log]
struct LogOptions {
  std::string level = "info";
  std::string file = "log.jsonl";  // relative to the run directory; empty: none
};

/// Default-constructed, these are the defaults.
struct Options {
  TrainingOptions training;
  CheckpointOptions checkpoints;
  EvaluationOptions evaluation;
  LogOptions log;

  /// Key («training.net») -> «command line», «environment KEISEI_TRAINING__NET» or
  /// «FILE:LINE:COLUMN». A key that is not here has its default.
  std::map<std::string, std::string, std::less<>> origins;
};
/// Of a key, as there; or «default».
[[nodiscard]] std::string origin_of(const Options& options, std::string_view key);

/// A value of one key; monostate is «not set».
using OptionValue =
    std::variant<std::monostate, bool, std::int64_t, double, std::string, std::vector<std::string>>;

/// The field of one key in the tree.
using OptionField =
    std::variant<bool& (*)(Options&), std::int64_t& (*)(Options&), double& (*)(Options&),
                 std::optional<double>& (*)(Options&), std::string& (*)(Options&),
                 std::vector<std::string>& (*)(Options&)>;

/// One row of the table.
struct OptionKey {
  std::string_view name;  // full, as in «evaluation.limits.timeout_s»
  OptionField field;
  double min = 0;                                  // of numbers, inclusive
  double max = 0;                                  // of numbers, inclusive
  std::span<const std::string_view> choices = {};  // of strings; empty: any text
  std::string_view unit = "";
  std::string_view help;
};

/// All keys, section by section, in the order of the tree.
[[nodiscard]] std::span<const OptionKey> option_keys();

/// «an integer», «a number», «true or false», «text», «a list of texts».
[[nodiscard]] std::string_view type_name(const OptionKey& key);
/// «1 .. 1000», «one of cpu, cuda», «only cpu», «at least one» (of a list), or empty.
[[nodiscard]] std::string range_text(const OptionKey& key);
[[nodiscard]] OptionValue value_of(const OptionKey& key, const Options& options);

/// Where values come from, weakest first.
struct OptionSources {
  std::optional<std::filesystem::path> file;
  std::vector<std::string> environment;  // «NAME=value»; those named KEISEI_SECTION__KEY are read
  std::vector<std::string> assignments;  // «key=value» of --set, the last one wins; texts and
                                         // comma-separated lists need no quotes; «unset» is none
};

/// The environment of this process, for OptionSources.
[[nodiscard]] std::vector<std::string> process_environment();

/// Reads and checks the configuration. Fails (Usage) on an unknown key, a wrong type, a value out
/// of range and on broken TOML; the message says where (file, line and column, variable, or --set)
/// and, for an unknown key, the nearest valid one. Blocks on the file.
[[nodiscard]] Result<Options> load_options(const OptionSources& sources);

/// The same with the text of the file in hand; `name` is its name in messages.
[[nodiscard]] Result<Options> parse_options(std::string_view toml, std::string_view name);

/// The effective configuration as TOML with a comment (help, unit, range) per key; what
/// `parse_options` makes of it has the same values.
[[nodiscard]] std::string to_toml(const Options& options);

/// The whole configuration as one JSON document: key -> {value, type, unit, range, help, origin}.
[[nodiscard]] std::string to_json(const Options& options);

}  // namespace keisei::app
