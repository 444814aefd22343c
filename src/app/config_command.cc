#include "app/config_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "app/options.h"
#include "app/options_toml.h"

namespace keisei::app {
namespace {

struct ConfigArguments {
  std::string config;
  std::string check;
  std::vector<std::string> assignments;
  bool show_origin = false;
  bool json = false;
};

/// «training.net = "b4c64"   command line», aligned.
std::string origins_text(const Options& options) {
  std::vector<std::string> settings;
  std::size_t width = 0;
  for (const OptionKey& key : option_keys()) {
    const OptionValue value = value_of(key, options);
    const bool is_unset = std::holds_alternative<std::monostate>(value);
    settings.push_back(fmt::format("{} = {}", key.name, is_unset ? "unset" : toml_literal(value)));
    width = std::max(width, settings.back().size());
  }
  std::string text;
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const auto origin = options.origins.find(option_keys()[i].name);
    text += fmt::format("{:<{}}  {}\n", settings[i], width,
                        origin == options.origins.end() ? "default" : origin->second);
  }
  return text;
}

/// Only the file: what a machine has in its environment says nothing about it.
Result<int> check_file(const std::string& file) {
  KEISEI_TRY(options, load_options({.file = file, .environment = {}, .assignments = {}}));
  fmt::print("{}: valid, {} of {} keys set\n", file, options.origins.size(), option_keys().size());
  return kDone;
}

Result<int> run(const ConfigArguments& arguments) {
  if (!arguments.check.empty()) {
    return check_file(arguments.check);
  }
  OptionSources sources{.file = std::nullopt,
                        .environment = process_environment(),
                        .assignments = arguments.assignments};
  if (!arguments.config.empty()) {
    sources.file = arguments.config;
  }
  KEISEI_TRY(options, load_options(sources));
  if (arguments.json) {
    fmt::print("{}\n", to_json(options));
  } else {
    fmt::print("{}", arguments.show_origin ? origins_text(options) : to_toml(options));
  }
  return kDone;
}

}  // namespace

void add_config_command(CLI::App& root, CommandAction& chosen) {
  auto arguments = std::make_shared<ConfigArguments>();
  CLI::App* command = root.add_subcommand(
      "config", "Print the whole configuration as TOML, with types, ranges and units");
  command->add_option("--config", arguments->config, "configuration file (TOML)");
  command->add_option("--set", arguments->assignments, "one value, as in training.net=b4c64")
      ->allow_extra_args(false);
  CLI::Option* origin =
      command->add_flag("--show-origin", arguments->show_origin, "where each value comes from");
  CLI::Option* check = command->add_option("--check", arguments->check,
                                           "check this file alone, and print nothing else");
  CLI::Option* json = command->add_flag("--json", arguments->json, "everything as JSON");
  check->excludes("--config")->excludes("--set")->excludes(origin)->excludes(json);
  origin->excludes(json);
  command->footer(
      "Stronger first: --set, environment KEISEI_SECTION__KEY (as KEISEI_TRAINING__NET), --config, "
      "defaults.\nExample: keisei config --set training.net=b4c64 > my.toml");
  command->callback([arguments, &chosen] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace keisei::app
