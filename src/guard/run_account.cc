#include "guard/run_account.h"

#include <fmt/format.h>

#include <algorithm>

#include "guard/tier.h"
#include "os/mapped_files.h"

namespace keisei::guard {
namespace {

/// Of a run whose report says that it stopped before it was through.
Ending early_ending(const RunContext& context, const RunFacts& facts) {
  const auto warned = [](const char* what, std::string limit, std::chrono::nanoseconds when) {
    return Ending{Outcome::Partial,
                  fmt::format("ended early with what was finished: warned after {} that {} neared "
                              "its limit of {}",
                              keisei::to_string(when), what, std::move(limit))};
  };
  if (facts.memory_warning) {
    return warned("its memory", to_string(context.limits.memory), *facts.memory_warning);
  }
  if (facts.timeout_warning) {
    return warned("its time", keisei::to_string(context.limits.timeout), *facts.timeout_warning);
  }
  return {Outcome::BadReport, "it ended early, though nothing had warned it"};
}

std::optional<double> optional_ms(std::optional<std::chrono::nanoseconds> time) {
  return time ? std::optional(milliseconds(*time)) : std::nullopt;
}

Ending name_ending(const RunContext& context, const RunFacts& facts) {
  EndFacts known{.profile = context.command.profile,
                 .decided = facts.decided,
                 .start_failure = facts.start_failure,
                 .exit = facts.exit,
                 .sampled_peak = std::nullopt,
                 .largest_process = {},
                 .memory_limit = std::nullopt,
                 .wants_report = context.command.report_fd.has_value(),
                 .report = facts.report,
                 .stderr_tail = facts.stderr_tail};
  if (facts.metrics) {
    known.sampled_peak = facts.metrics->peak_memory;
    if (facts.usage) {  // the kernel's own high-water mark misses nothing between two samples
      known.largest_process = facts.usage->largest_rss - facts.metrics->peak_file_backed;
      known.most_unseen =
          most_filled_in(facts.usage->cpu_seconds - facts.metrics->cpu_seconds_seen);
    }
  }
  if (context.enforced()) {
    known.memory_limit = context.limits.memory;
  }
  if (facts.report_overflowed) {
    return facts.decided.value_or(Ending{Outcome::BadReport, "its report is too large"});
  }
  Ending ending = classify(known);
  if (ending.outcome == Outcome::Finished && context.command.report_check) {
    const Result<ReportKind> accepted = context.command.report_check(facts.report);
    if (!accepted) {
      ending = {Outcome::BadReport, accepted.error().message};
    } else if (*accepted == ReportKind::Partial) {
      ending = early_ending(context, facts);
    }
  }
  return ending;
}

PerformanceMetrics final_metrics(const RunFacts& facts) {
  PerformanceMetrics metrics = facts.metrics.value_or(PerformanceMetrics{});
  if (facts.usage) {
    // A killed init's account lacks its children; a short run has no sample.
    metrics.cpu_seconds = std::max({metrics.cpu_seconds, facts.usage->cpu_seconds,
                                    facts.cgroup.account.cpu_seconds.value_or(0)});
    if (!metrics.peak_memory) {  // it ended before the first sample
      metrics.peak_memory = facts.usage->largest_rss;
    }
    metrics.max_processes = std::max(metrics.max_processes, 1);
    metrics.max_threads = std::max(metrics.max_threads, 1);
  }
  metrics.impact = facts.impact;
  if (!facts.start_failure) {
    metrics.latency_ms = milliseconds(facts.ended - facts.admitted);
  }
  return metrics;
}

}  // namespace

void describe_watching(const PerformanceMetrics& metrics, bool mapped_is_measured, Tier& tier) {
  if (metrics.samples_in_part > 0) {
    tier.not_enforced.push_back(
        fmt::format("watching: {} samples missed a part of the tree, since no descriptor was left "
                    "to read it with; raise the open files limit (ulimit -n)",
                    metrics.samples_in_part));
  }
  if (metrics.hides_descriptors) {
    tier.not_enforced.emplace_back(
        "watching: it hid its descriptor tables, so that memfds which nobody maps are not counted; "
        "give it a cgroup");
  }
  if (metrics.hides_mappings) {
    tier.not_enforced.emplace_back(
        "watching: it hid what it shares, so that shared pages count as often as they are mapped; "
        "give it a cgroup");
  }
  if (!mapped_is_measured) {
    return;
  }
  if (metrics.uncounted == Uncounted::TooMany) {
    tier.not_enforced.emplace_back(
        "watching: it mapped more than is looked through for shared memory; give it a cgroup");
  } else if (metrics.uncounted == Uncounted::NeverThere) {
    tier.not_enforced.emplace_back(
        "watching: it mapped shared memory so that it could not be measured; give it a cgroup");
  }
}

GuardedRun account_for(const RunContext& context, RunFacts facts) {
  if (const auto breach =
          cgroup_breach(facts.cgroup, context.limits, context.command.profile, facts.exit);
      breach && !facts.decided && !facts.start_failure) {
    facts.breach = breach;
    facts.decided = Ending{breach->outcome, breach->message()};
  }
  const PerformanceMetrics metrics = final_metrics(facts);
  const Ending ending = name_ending(context, facts);
  GuardRecord record;
  record.outcome = ending.outcome;
  record.cause = ending.cause;
  if (facts.exit) {
    record.exit = {.code = facts.exit->code, .signal = facts.exit->signal};
  }
  record.breach = facts.breach;
  record.latency_ms = metrics.latency_ms.value_or(0);
  record.queue_ms = milliseconds(context.queued);
  record.paused_ms = milliseconds(facts.paused);
  record.memory_warning_ms = optional_ms(facts.memory_warning);
  record.timeout_warning_ms = optional_ms(facts.timeout_warning);
  record.peak_memory = metrics.peak_memory.value_or(Bytes{});
  record.cpu_seconds = metrics.cpu_seconds;
  if (metrics.io) {
    record.io_read = metrics.io->read;
    record.io_written = metrics.io->written;
  }
  record.max_processes = metrics.max_processes;
  record.max_threads = metrics.max_threads;
  record.kill_ms = facts.kill_ms;
  record.gpu = metrics.gpu;
  record.impact = facts.impact;
  record.sla = context.sla.judge(metrics, ending.outcome);
  record.profile = context.command.profile;
  const bool mapped_is_measured = os::can_measure_mapped_files();
  record.tier = describe_tier(context.command, context.limits, facts.hold, mapped_is_measured);
  describe_cgroup(facts.cgroup, record.tier);
  describe_watching(metrics, mapped_is_measured, record.tier);
  if (context.governor != nullptr) {
    (context.enforced() ? record.tier.enforced : record.tier.not_enforced)
        .push_back("training impact: stopped and continued within a measured budget");
  }
  record.cgroup = cgroup_record(facts.cgroup);
  record.limits = context.limits;
  record.enforcement = context.enforced();
  return {.record = std::move(record),
          .report = std::move(facts.report),
          .stderr_tail = std::move(facts.stderr_tail)};
}

}  // namespace keisei::guard
