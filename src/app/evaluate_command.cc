#include "app/evaluate_command.h"

#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>

#include "app/evaluation_settings.h"
#include "app/options.h"
#include "app/progress.h"
#include "base/file.h"
#include "eval/evaluation_manager.h"

namespace keisei::app {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

struct EvaluateArguments {
  std::string checkpoint;
  std::optional<std::string> config;
  std::vector<std::string> assignments;
  std::vector<std::string> opponents;
  std::optional<std::int64_t> games;
  std::optional<std::string> strategy;
  std::optional<std::int64_t> seed;
  std::optional<std::string> directory;
  bool json = false;
};

/// Where the evaluation's files go: a directory that the caller named, or one that goes with this.
class EvaluationDirectory {
 public:
  static Result<EvaluationDirectory> open(const std::optional<std::string>& named) {
    std::error_code error;
    if (named) {
      fs::create_directories(*named, error);
      const fs::path path = fs::absolute(*named, error);
      if (error) {
        return fail("creating {}: {}", *named, error.message());
      }
      return EvaluationDirectory(path, {});
    }
    std::string pattern = (fs::temp_directory_path(error) / "keisei-evaluate-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      return fail_errno("making a temporary directory");
    }
    return EvaluationDirectory(pattern, pattern);
  }

  EvaluationDirectory(EvaluationDirectory&& other) noexcept
      : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, {})) {}
  EvaluationDirectory& operator=(EvaluationDirectory&&) = delete;
  EvaluationDirectory(const EvaluationDirectory&) = delete;
  EvaluationDirectory& operator=(const EvaluationDirectory&) = delete;
  ~EvaluationDirectory() {
    if (!temporary_.empty()) {
      std::error_code ignored;
      fs::remove_all(temporary_, ignored);
    }
  }

  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  EvaluationDirectory(fs::path path, fs::path temporary)
      : path_(std::move(path)), temporary_(std::move(temporary)) {}

  fs::path path_;
  fs::path temporary_;  // empty: the directory stays
};

/// The command gives its only record to whoever asked.
class NoStore final : public telemetry::RecordSink {
 public:
  Result<void> add(const telemetry::Record& /*record*/) override { return {}; }
};

/// The first is all that counts: a later one would find the evaluation cancelled, and whoever
/// cancels this wait would not find it if it began anew just then.
asio::awaitable<void> cancel_on_signal(asio::signal_set& signals,
                                       eval::EvaluationManager& evaluations) {
  boost::system::error_code error;
  co_await signals.async_wait(asio::redirect_error(asio::use_awaitable, error));
  if (!error) {
    evaluations.cancel_all(guard::Outcome::Cancelled, "stopped by a signal");
  }
}

using EvaluationResult = Result<telemetry::EvaluationRecord>;

asio::awaitable<void> evaluate_once(eval::EvaluationManager& evaluations, fs::path checkpoint,
                                    asio::signal_set& signals,
                                    std::optional<EvaluationResult>& result) {
  result = co_await evaluations.evaluate_checkpoint(std::move(checkpoint));
  signals.cancel();
}

EvaluationResult run_evaluation(const Options& options, const fs::path& checkpoint,
                                const fs::path& directory) {
  KEISEI_TRY(limits, limits_from(options));
  KEISEI_TRY(settings, settings_from(options, directory));
  settings.shrinking = eval::Shrinking::Never;  // somebody waits for exactly this
  asio::io_context loop{1};
  asio::signal_set signals(loop, SIGINT, SIGTERM, SIGHUP);
  guard::EvaluationPerformanceManager guard(loop.get_executor(), limits, sla_from(options),
                                            directory / "slots");
  NoStore store;
  eval::EvaluationManager evaluations(guard, store, settings);
  std::optional<EvaluationResult> result;
  asio::co_spawn(loop, cancel_on_signal(signals, evaluations), asio::detached);
  asio::co_spawn(loop, evaluate_once(evaluations, checkpoint, signals, result), asio::detached);
  loop.run();
  if (!result) {
    return fail("the evaluation ended without a result");
  }
  return std::move(*result);
}

/// The exit code: 1 where there is no full result, 3 where one is there but a promise was broken.
int verdict_of(const telemetry::EvaluationRecord& record) {
  if (record.outcome != guard::to_string(guard::Outcome::Finished)) {
    return kFailed;
  }
  for (const auto& [metric, verdict] : record.sla) {
    if (verdict.verdict == telemetry::Verdict::Violated) {
      return kAnswerIsNo;
    }
  }
  return kDone;
}

OptionSources sources_of(const EvaluateArguments& arguments) {
  OptionSources sources{.file = std::nullopt,
                        .environment = process_environment(),
                        .assignments = arguments.assignments};
  if (arguments.config) {
    sources.file = *arguments.config;
  }
  if (arguments.games) {
    sources.assignments.push_back(fmt::format("evaluation.games={}", *arguments.games));
  }
  if (arguments.seed) {
    sources.assignments.push_back(fmt::format("evaluation.seed={}", *arguments.seed));
  }
  if (arguments.strategy) {
    sources.assignments.push_back(fmt::format("evaluation.strategy={}", *arguments.strategy));
  }
  return sources;
}

Result<int> evaluate(const EvaluateArguments& arguments) {
  KEISEI_TRY(options, load_options(sources_of(arguments)));
  if (!arguments.opponents.empty()) {
    options.evaluation.opponents = arguments.opponents;
  }
  KEISEI_TRY(directory, EvaluationDirectory::open(arguments.directory));
  KEISEI_TRY(record, run_evaluation(options, arguments.checkpoint, directory.path()));
  if (arguments.json) {
    fmt::print("{}\n", telemetry::to_json(record));
  } else {
    fmt::print("{}\n", evaluation_line(record));
  }
  return verdict_of(record);
}

}  // namespace

void add_evaluate_command(CLI::App& root, CommandAction& chosen) {
  auto arguments = std::make_shared<EvaluateArguments>();
  CLI::App* command =
      root.add_subcommand("evaluate", "Evaluate one checkpoint under the safeguards.");
  command->add_option("checkpoint", arguments->checkpoint, "the .safetensors file")->required();
  command
      ->add_option("--opponent", arguments->opponents,
                   "random, heuristic or a checkpoint; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--games", arguments->games,
                      "games against each opponent, or of all (--strategy)");
  command->add_option("--strategy", arguments->strategy,
                      "how games are dealt out: single (all against each) or shared");
  command->add_option("--seed", arguments->seed, "decides openings and moves");
  command->add_option("--config", arguments->config, "configuration file (TOML)");
  command->add_option("--set", arguments->assignments, "one value, as in evaluation.threads=2")
      ->allow_extra_args(false);
  command->add_option("--keep", arguments->directory,
                      "keep request, report and games in this directory");
  command->add_flag("--json", arguments->json, "print the record as JSON");
  command->footer(
      "Example: keisei evaluate runs/first/checkpoints/step-000000250000.safetensors --games 100\n"
      "Exit code: 0 evaluated, 1 not (the line says why), 3 evaluated but an SLA was violated.");
  command->callback(
      [arguments, &chosen] { chosen = [arguments] { return evaluate(*arguments); }; });
}

}  // namespace keisei::app
