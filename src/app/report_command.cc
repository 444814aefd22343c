#include "app/report_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <vector>

#include "app/options.h"
#include "base/file.h"
#include "guard/hold_outs.h"
#include "guard/impact_certificate.h"
#include "report/summary.h"
#include "store/run_store.h"

namespace keisei::app {
namespace {

struct ReportArguments {
  std::string run;
  std::string format = "text";
  bool impact = false;
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

/// Whose certificate it is, where that is not `last`.
std::optional<std::int64_t> supervision_of_another(std::string_view written,
                                                   const guard::ImpactCertificate& last) {
  const std::optional<std::int64_t> supervision = guard::parse_supervision(written);
  return supervision && *supervision != last.supervision ? supervision : std::nullopt;
}

/// Makes the certificate of each supervision again, from its raw frames, and holds the last one
/// against impact.json: its numbers, and whether its hold-outs are those of its seed.
Result<int> report_impact(const ReportArguments& arguments, const store::RunStore& store,
                          report::Format format) {
  const std::filesystem::path run(arguments.run);
  KEISEI_TRY(options,
             load_options({.file = run / "config.toml", .environment = {}, .assignments = {}}));
  KEISEI_TRY(frames, store.frames());
  KEISEI_TRY(evaluation, store.last_evaluation());
  std::vector<guard::ImpactCertificate> certificates =
      guard::certificates_of(frames, options.evaluation.sla.training_impact_percent / 100);
  if (certificates.empty()) {
    return fail("{} has no frames: no training was watched in it", (run / "run.db").string());
  }
  const Result<std::string> written = read_file(run / "impact.json");
  const Result<std::uint64_t> seed =
      written ? guard::parse_seed(*written) : tl::unexpected(written.error());
  guard::ImpactCertificate& last = certificates.back();
  const std::optional<std::int64_t> other =
      written ? supervision_of_another(*written, last) : std::nullopt;
  last.seed = seed && !other ? std::optional(*seed) : std::nullopt;
  last.tier = evaluation ? evaluation->tier : "";
  for (const guard::ImpactCertificate& certificate : certificates) {
    fmt::print("{}", format == report::Format::Json ? to_json(certificate) : to_text(certificate));
  }
  if (!written) {
    fmt::print(stderr, "keisei report: {}; it was made from the frames alone\n",
               written.error().message);
    return kAnswerIsNo;
  }
  if (other) {
    fmt::print(
        stderr,
        "keisei report: impact.json is of supervision {}, and the last frames in run.db are of {}, "
        "which has not ended yet, or failed or was killed before it wrote its own\n",
        *other, last.supervision);
    return kAnswerIsNo;
  }
  if (!seed) {
    fmt::print(stderr, "keisei report: impact.json: {}\n", seed.error().message);
    return kAnswerIsNo;
  }
  if (*written != to_json(last)) {
    fmt::print(
        stderr,
        "keisei report: impact.json does NOT agree with the frames in run.db: one of both was "
        "changed, or the run still goes on\n");
    return kAnswerIsNo;
  }
  const guard::HoldOutsCheck drawn = guard::check_hold_outs(*seed, guard::last_supervision(frames));
  if (drawn.others > 0) {
    fmt::print(stderr,
               "keisei report: {} of {} hold-outs are NOT where the seed in impact.json puts them: "
               "they were not drawn before their blocks\n",
               drawn.others, drawn.blocks);
    return kAnswerIsNo;
  }
  fmt::print(stderr,
             "keisei report: impact.json agrees with the frames to the last digit, and its seed "
             "with {} hold-outs\n",
             drawn.blocks);
  return kDone;
}

Result<int> run(const ReportArguments& arguments) {
  KEISEI_TRY(format, parse_format(arguments.format));
  KEISEI_TRY(store,
             store::RunStore::open_read_only(std::filesystem::path(arguments.run) / "run.db"));
  if (arguments.impact) {
    return report_impact(arguments, store, format);
  }
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
  command->add_flag("--impact", arguments->impact,
                    "The certificate of training impact, made again from the raw frames; exit code "
                    "3 where impact.json says something else");
  command->footer("Example: keisei report runs/20260131T120000Z --format md > report.md");
  command->callback([arguments, &chosen] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace keisei::app
