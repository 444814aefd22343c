#include "app/report_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "report/summary.h"
#include "store/run_store.h"

namespace keisei::app {
namespace {

struct ReportArguments {
  std::string run;
  std::string format = "text";
};

Result<report::Format> parse_format(std::string_view text) {
  if (text == "text") {
    return report::Format::Text;
  }
  if (text == "md") {
    return report::Format::Markdown;
  }
  if (text == "json") {
    return report::Format::Json;
  }
  return usage_error("--format {}: use text, md or json", text);
}

Result<int> run(const ReportArguments& arguments) {
  KEISEI_TRY(format, parse_format(arguments.format));
  KEISEI_TRY(store,
             store::RunStore::open_read_only(std::filesystem::path(arguments.run) / "run.db"));
  KEISEI_TRY(history, report::history_of(store, arguments.run));
  fmt::print("{}", report::render(history, format));
  return kDone;
}

}  // namespace

void add_report_command(CLI::App& root, CommandAction& chosen) {
  auto arguments = std::make_shared<ReportArguments>();
  CLI::App* command =
      root.add_subcommand("report", "Print what a run learned: training, evaluations, SLA");
  command->add_option("run", arguments->run, "run directory")->required();
  command->add_option("--format", arguments->format, "text, md or json")->capture_default_str();
  command->footer("Example: keisei report runs/20260131T120000Z --format md > report.md");
  command->callback([arguments, &chosen] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace keisei::app
