#include "app/verify_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>

#include "app/evaluation_settings.h"
#include "app/options.h"
#include "app/painter.h"
#include "base/clock.h"
#include "eval/wire.h"
#include "guard/verify_host.h"

namespace keisei::app {
namespace {

using Json = nlohmann::ordered_json;

struct VerifyArguments {
  std::string config;
  std::vector<std::string> assignments;
  bool quick = false;
  bool json = false;
};

Result<Options> read_options(const VerifyArguments& arguments) {
  OptionSources sources{.file = std::nullopt,
                        .environment = process_environment(),
                        .assignments = arguments.assignments};
  if (!arguments.config.empty()) {
    sources.file = arguments.config;
  }
  return load_options(sources);
}

Result<void> read_report(std::string_view text) {
  eval::EvaluationRequest request;
  request.opponents.resize(1);
  KEISEI_TRY(report, eval::parse_report(text, request));
  if (!report.complete) {
    return fail("the report is not complete");
  }
  return {};
}

Result<guard::VerifyOptions> verify_options(const Options& options,
                                            const VerifyArguments& arguments) {
  KEISEI_TRY(limits, limits_from(options));
  std::error_code error;
  std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) {
    return fail("reading /proc/self/exe: {}; is /proc mounted?", error.message());
  }
  return guard::VerifyOptions{
      .limits = limits,
      .impact_limit = options.evaluation.sla.training_impact_percent / 100,
      .enforcement = options.evaluation.enforcement.enabled ? guard::Enforcement::Enabled
                                                            : guard::Enforcement::Disabled,
      .thoroughness = arguments.quick ? guard::Thoroughness::Quick : guard::Thoroughness::Full,
      .supervisor = std::move(self),
      .report_check = read_report};
}

std::string word(guard::Proof proof) {
  std::string text(guard::to_string(proof));
  for (char& letter : text) {
    letter = letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
  }
  return fmt::format("{:<13}", text);
}

Colour colour_of(guard::Proof proof) {
  switch (proof) {
    case guard::Proof::Proven:
      return Colour::Green;
    case guard::Proof::NotProven:
    case guard::Proof::NotRun:
      return Colour::Red;
    case guard::Proof::NotMeasured:
      return Colour::Yellow;
  }
  return Colour::Red;
}

void print_row(const Painter& painter, const guard::VerifyRow& row) {
  fmt::print("{}{:<16}{:<27}{}\n",
             painter.paint(colour_of(row.finding.proof), word(row.finding.proof)), row.promise,
             row.attack.empty() ? "-" : row.attack, row.finding.sentence);
  (void)std::fflush(stdout);  // told at the end by main
}

std::string limits_text(const guard::EvaluationLimits& attacked,
                        const guard::EvaluationLimits& configured) {
  const std::string cpu =
      attacked.cpu_percent ? fmt::format("{:g} % of a processor, ", *attacked.cpu_percent) : "";
  return fmt::format(
      "Attacked at {} (configured {}), {} (configured {}), {}{} processes, {} at once.",
      to_string(attacked.timeout), to_string(configured.timeout), to_string(attacked.memory),
      to_string(configured.memory), cpu, attacked.processes.value_or(0), attacked.max_concurrent);
}

struct Tally {
  int proven = 0;
  int not_proven = 0;
  int not_measured = 0;
  int not_run = 0;
};

Tally tally(const guard::VerifyReport& report) {
  Tally result;
  for (const guard::VerifyRow& row : report.rows) {
    switch (row.finding.proof) {
      case guard::Proof::Proven:
        ++result.proven;
        break;
      case guard::Proof::NotProven:
        ++result.not_proven;
        break;
      case guard::Proof::NotMeasured:
        ++result.not_measured;
        break;
      case guard::Proof::NotRun:
        ++result.not_run;
        break;
    }
  }
  return result;
}

void print_summary(const guard::VerifyReport& report, const guard::EvaluationLimits& configured) {
  const Tally sum = tally(report);
  fmt::print(
      "\n{} proven, {} NOT proven, {} not run, {} not measured (neither a pass nor a failure).\n",
      sum.proven, sum.not_proven, sum.not_run, sum.not_measured);
  fmt::print("{}\n", limits_text(report.attacked, configured));
  if (!report.not_enforced.empty()) {
    fmt::print("No promise is made, and nothing holds, on this host:\n");
  }
  for (const std::string& line : report.not_enforced) {
    fmt::print("  {}\n", line);
  }
}

Json evidence_json(const guard::AttackEvidence& evidence) {
  const guard::GuardRecord& record = evidence.record;
  Json json = {
      {"outcome", guard::to_string(record.outcome)},
      {"cause", record.cause},
      {"latency_ms", record.latency_ms},
      {"kill_ms", nullptr},
      {"peak_memory_bytes", record.peak_memory.count},
      {"memory_limit_bytes", record.limits.memory.count},
      {"overshoot_bytes", guard::overshoot(record).count},
      {"cpu_seconds", record.cpu_seconds},
      {"max_processes", record.max_processes},
      {"at_once", guard::most_at_once(evidence.intervals)},
      {"survivors", evidence.survivors},
      {"free_slots", evidence.free_slots},
      {"files_left", evidence.files_left},
      {"descriptors_left", evidence.descriptors_left},
      {"gpu", nullptr},
      {"said", evidence.said},
      {"tier", {{"enforced", record.tier.enforced}, {"not_enforced", record.tier.not_enforced}}}};
  if (record.kill_ms) {
    json["kill_ms"] = *record.kill_ms;
  }
  if (record.gpu) {
    json["gpu"] = {{"utilization_percent", record.gpu->utilization_percent}};
  }
  return json;
}

/// Bytes from outside that are no UTF-8 become replacement characters.
std::string json_text(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

void print_json(const guard::VerifyReport& report) {
  Json rows = Json::array();
  for (const guard::VerifyRow& row : report.rows) {
    rows.push_back({{"promise", row.promise},
                    {"attack", row.attack},
                    {"verdict", guard::to_string(row.finding.proof)},
                    {"why", row.finding.sentence},
                    {"evidence", row.evidence ? evidence_json(*row.evidence) : Json(nullptr)}});
  }
  const Tally sum = tally(report);
  const Json json = {
      {"verdict", guard::to_string(report.verdict())},
      {"proven", sum.proven},
      {"not_proven", sum.not_proven},
      {"not_run", sum.not_run},
      {"not_measured", sum.not_measured},
      {"attacked",
       {{"timeout_s", seconds(report.attacked.timeout)},
        {"memory_mb", to_megabytes(report.attacked.memory)},
        {"cpu_percent",
         report.attacked.cpu_percent ? Json(*report.attacked.cpu_percent) : Json(nullptr)},
        {"processes", report.attacked.processes.value_or(0)},
        {"max_concurrent", report.attacked.max_concurrent}}},
      {"rows", rows},
      {"not_enforced", report.not_enforced}};
  fmt::print("{}\n", json_text(json));
}

int exit_code(const guard::VerifyReport& report) {
  if (report.interrupted_by) {
    return 128 + *report.interrupted_by;
  }
  switch (report.verdict()) {
    case guard::Proof::Proven:
    case guard::Proof::NotMeasured:
      return kDone;
    case guard::Proof::NotProven:
      return kAnswerIsNo;
    case guard::Proof::NotRun:
      return kFailed;
  }
  return kFailed;
}

Result<int> verify(const VerifyArguments& arguments) {
  KEISEI_TRY(options, read_options(arguments));
  KEISEI_TRY(verify_how, verify_options(options, arguments));
  if (verify_how.enforcement == guard::Enforcement::Disabled) {
    fmt::print(stderr,
               "keisei: ENFORCEMENT IS SWITCHED OFF (evaluation.enforcement.enabled = false, {}): "
               "no limit holds on any evaluation\n",
               options.origins.at("evaluation.enforcement.enabled"));
  }
  const Painter painter = Painter::for_stdout();
  KEISEI_TRY(report, guard::verify_host(verify_how, [&](const guard::VerifyRow& row) {
               if (!arguments.json) {
                 print_row(painter, row);
               }
             }));
  if (arguments.json) {
    print_json(report);
  } else {
    print_summary(report, verify_how.limits);
  }
  return exit_code(report);
}

}  // namespace

void add_verify_command(CLI::App& root, CommandAction& chosen) {
  auto arguments = std::make_shared<VerifyArguments>();
  CLI::App* command = root.add_subcommand(
      "verify", "Attack the safeguards on this host, and say of each promise whether it is proven");
  command->add_option("--config", arguments->config, "configuration file (TOML)");
  command->add_option("--set", arguments->assignments, "one value, as in evaluation.limits.queue=4")
      ->allow_extra_args(false);
  command->add_flag("--quick", arguments->quick, "the worker profile only, and smaller attacks");
  command->add_flag("--json", arguments->json, "everything as one JSON document");
  command->footer(
      "Exit code: 0 all that can be attacked is proven, 3 a promise is not proven (or enforcement "
      "is\nswitched off), 1 an attack could not be made.\nExample: keisei verify --quick");
  command->callback([arguments, &chosen] { chosen = [arguments] { return verify(*arguments); }; });
}

}  // namespace keisei::app
