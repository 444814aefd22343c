#include "guard/verify_host.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <thread>
#include <utility>

#include "guard/proving_ground.h"
#include "guard/verify_impact.h"
#include "os/attack.h"
#include "os/gpu.h"

namespace keisei::guard {
namespace {

constexpr std::size_t kSentence = 200;  // characters of what an attack said

int open_descriptors() {
  std::error_code ignored;
  const std::filesystem::directory_iterator entries("/proc/self/fd", ignored);
  return static_cast<int>(std::distance(begin(entries), end(entries)));
}

/// The last line, cut.
std::string last_line(std::string_view text) {
  while (text.ends_with('\n')) {
    text.remove_suffix(1);
  }
  const std::size_t line = text.rfind('\n');
  return std::string(
      text.substr(line == std::string_view::npos ? 0 : line + 1).substr(0, kSentence));
}

std::vector<GuardedCommand> commands_of(const Attack& attack, const ProvingGround& ground,
                                        const VerifyOptions& options) {
  GuardedCommand command = ground.command(attack.program, attack.arguments);
  command.profile = attack.profile;
  if (attack.wants_report) {
    command.report_fd = os::kAttackReportFd;
  }
  if (attack.promise == "report") {
    command.report_check = [check =
                                options.report_check](std::string_view text) -> Result<ReportKind> {
      KEISEI_TRY_VOID(check(text));
      return ReportKind::Complete;
    };
  }
  std::vector<GuardedCommand> commands(static_cast<std::size_t>(attack.copies), command);
  for (int i = 0; i < attack.companions; ++i) {
    commands.push_back(ground.command("nothing"));
  }
  return commands;
}

/// The rows that need no attack.
VerifyRow enforcement_row(Enforcement enforcement) {
  const bool on = enforcement == Enforcement::Enabled;
  return {.promise = "enforcement",
          .attack = "",
          .finding = {on ? Proof::Proven : Proof::NotProven,
                      on ? "evaluation.enforcement.enabled is true"
                         : "evaluation.enforcement.enabled is false: NO LIMIT HOLDS; nothing below "
                           "protects anybody"}};
}

VerifyRow impact_row(ProvingGround& ground, const VerifyOptions& options) {
  VerifyRow row{.promise = "training impact",
                .attack = "",
                .finding = {Proof::NotMeasured, "takes 16 s: not attacked by --quick"}};
  if (options.thoroughness == Thoroughness::Full) {
    row.attack = "spin beside a training";
    row.finding = prove_impact(ground, options.impact_limit);
  }
  return row;
}

/// One verification from its first row to its last.
class Verification {
 public:
  Verification(const VerifyOptions& options, ProvingGround& ground, bool host_has_gpu)
      : options_(options), ground_(ground), host_has_gpu_(host_has_gpu) {}

  VerifyRow attack(const Attack& attack) {
    const int descriptors = open_descriptors();
    std::vector<GuardedRun> runs =
        ground_.run(commands_of(attack, ground_, options_), attack.limits);
    AttackEvidence evidence = read(runs);
    evidence.survivors = ground_.count_survivors();
    ground_.end_survivors();
    evidence.free_slots = ground_.free_slots(attack.limits.max_concurrent);
    evidence.files_left = ground_.take_files_left();
    evidence.descriptors_left = std::max(0, open_descriptors() - descriptors);
    evidence.host_has_gpu = host_has_gpu_;
    Finding finding = judge(attack, evidence);
    return {
        .promise = attack.promise,
        .attack = std::string(attack.name) + " (" + std::string(to_string(attack.profile)) + ")",
        .finding = std::move(finding),
        .evidence = std::move(evidence)};
  }

 private:
  static AttackEvidence read(std::vector<GuardedRun>& runs) {
    AttackEvidence evidence;
    for (const GuardedRun& run : runs) {
      if (const std::optional<Interval> interval = parse_interval(run.report)) {
        evidence.intervals.push_back(*interval);
      }
    }
    evidence.said = last_line(runs.front().stderr_tail);
    evidence.record = std::move(runs.front().record);
    for (auto run = std::next(runs.begin()); run != runs.end(); ++run) {
      evidence.others.push_back(std::move(run->record));
    }
    return evidence;
  }

  const VerifyOptions& options_;
  ProvingGround& ground_;
  bool host_has_gpu_ = false;
};

void note_not_enforced(const VerifyRow& row, std::vector<std::string>& list) {
  if (!row.evidence || row.evidence->record.profile != Profile::Worker) {
    return;
  }
  for (const std::string& line : row.evidence->record.tier.not_enforced) {
    if (std::ranges::find(list, line) == list.end()) {
      list.push_back(line);
    }
  }
}

}  // namespace

Proof VerifyReport::verdict() const {
  std::vector<Proof> proofs;
  std::ranges::transform(rows, std::back_inserter(proofs),
                         [](const VerifyRow& row) { return row.finding.proof; });
  return verdict_of(proofs);
}

Result<VerifyReport> verify_host(const VerifyOptions& options,
                                 const std::function<void(const VerifyRow&)>& told) {
  KEISEI_TRY(memory, host_memory());
  // A driver may take seconds to answer, and on the ground nobody hears an interrupt meanwhile.
  const bool host_has_gpu = os::describe_gpu().measurable;
  KEISEI_TRY(ground, ProvingGround::make({.enforcement = options.enforcement,
                                          .containment = options.containment,
                                          .without = options.without}));
  VerifyReport report;
  report.attacked = attacked_limits(options.limits, options.thoroughness);
  const auto note = [&](VerifyRow row) {
    told(row);
    note_not_enforced(row, report.not_enforced);
    report.rows.push_back(std::move(row));
  };
  Verification verification(options, ground, host_has_gpu);
  const AttackGround where{
      .supervisor = options.supervisor,
      .directory = ground.directory(),
      .host_memory = memory,
      .processors = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()))};
  note(enforcement_row(options.enforcement));
  if (std::string why = why_cpu_is_not_attacked(report.attacked, where); !why.empty()) {
    note({.promise = "cpu", .attack = "", .finding = {Proof::NotMeasured, std::move(why)}});
  }
  for (const char* promise : {"weights", "queue", "warnings"}) {
    note({.promise = promise,
          .attack = "",
          .finding = {Proof::NotMeasured, "not attacked here; the project's own tests do"}});
  }
  for (const Attack& attack : plan_attacks(report.attacked, options.thoroughness, where)) {
    VerifyRow row = verification.attack(attack);
    report.interrupted_by = ground.interrupted_by();
    if (report.interrupted_by) {
      return report;
    }
    note(std::move(row));
  }
  VerifyRow impact = impact_row(ground, options);
  report.interrupted_by = ground.interrupted_by();
  if (!report.interrupted_by) {
    note(std::move(impact));
  }
  return report;
}

}  // namespace keisei::guard
