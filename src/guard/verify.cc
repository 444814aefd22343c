#include "guard/verify.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/clock.h"
#include "os/attack.h"

namespace keisei::guard {
namespace {

constexpr double kLateMs = 1000;  // a timeout or a kill later than that is no safeguard
// What a tree may use beyond its share of the CPU: the kernel counts a running process by ticks,
// and the guard looks every 2 to 10 ms.
constexpr double kCpuTolerance = 0.1;
constexpr double kCpuSlack = 0.1;          // seconds
constexpr double kSlackPerProcess = 0.03;  // the same: a clock tick, and a look of the guard

/// Why the promise is broken; empty where it is kept.
using Objection = std::string;

bool has_exit(const GuardRecord& record, int code) { return record.exit.code == code; }

Objection wrong_outcome(const Attack& attack, const GuardRecord& record) {
  if (std::ranges::find(attack.accepted, record.outcome) != attack.accepted.end()) {
    return "";
  }
  std::string expected;
  for (const Outcome outcome : attack.accepted) {
    expected += fmt::format("{}{}", expected.empty() ? "" : " or ", to_string(outcome));
  }
  return fmt::format("ended as {} instead of {}{}{}", to_string(record.outcome), expected,
                     record.cause.empty() ? "" : ": ", record.cause);
}

Objection too_late(const Attack& attack, const GuardRecord& record) {
  const double limit = milliseconds(attack.limits.timeout);
  if (attack.on_time && (record.latency_ms < limit || record.latency_ms > limit + kLateMs)) {
    return fmt::format("ended {:.0f} ms after its start, its limit is {:.0f} ms", record.latency_ms,
                       limit);
  }
  if (record.kill_ms.value_or(0) > kLateMs) {
    return fmt::format("its tree was dead only {:.0f} ms after the kill", *record.kill_ms);
  }
  return "";
}

Objection too_large(const Attack& attack, const GuardRecord& record) {
  if (!attack.most_overshoot || overshoot(record) <= *attack.most_overshoot) {
    return "";
  }
  return fmt::format("its peak of {} is {} above its limit (at most {} is accepted)",
                     to_string(record.peak_memory), to_string(overshoot(record)),
                     to_string(*attack.most_overshoot));
}

double cpu_share(const Attack& attack, const GuardRecord& record) {
  return attack.limits.cpu_percent.value_or(0) / 100 * record.latency_ms / 1000;
}

Objection too_busy(const Attack& attack, const GuardRecord& record) {
  const double slack = kCpuSlack + kSlackPerProcess * record.max_processes;
  if (!attack.holds_cpu ||
      record.cpu_seconds <= cpu_share(attack, record) * (1 + kCpuTolerance) + slack) {
    return "";
  }
  return fmt::format("it used {:.2f} s of CPU time, its limit is {:.2f} s", record.cpu_seconds,
                     cpu_share(attack, record));
}

std::string exit_text(const ExitRecord& exit) {
  if (exit.signal) {
    return fmt::format("signal {} ({})", *exit.signal, strsignal(*exit.signal));
  }
  return exit.code ? fmt::format("exit code {}", *exit.code) : "no exit";
}

Objection wrong_exit(const Attack& attack, const GuardRecord& record) {
  if (!attack.exit ||
      (attack.exit->code == record.exit.code && attack.exit->signal == record.exit.signal)) {
    return "";
  }
  return fmt::format("the record names {} instead of {}", exit_text(record.exit),
                     exit_text(*attack.exit));
}

/// A verdict that says less than the outcome is a record that lies.
Objection wrong_verdict(const GuardRecord& record) {
  if (record.outcome == Outcome::OverMemory &&
      record.sla.memory_overhead_mb.verdict != Verdict::Violated) {
    return "its record does not say that the SLA on memory was violated";
  }
  if (record.outcome == Outcome::TimedOut &&
      record.sla.evaluation_latency_ms.verdict == Verdict::Met) {
    return "its record says that the SLA on latency was met";
  }
  return "";
}

Objection left_something(const Attack& attack, const AttackEvidence& evidence) {
  if (evidence.survivors > 0) {
    return fmt::format("{} of its processes outlived the run", evidence.survivors);
  }
  if (evidence.free_slots != attack.limits.max_concurrent) {
    return fmt::format("{} of {} slots are free after it", evidence.free_slots,
                       attack.limits.max_concurrent);
  }
  if (evidence.files_left > 0) {
    return fmt::format("{} of its files are left", evidence.files_left);
  }
  if (evidence.descriptors_left > 0) {
    return fmt::format("{} descriptors of its supervision are left", evidence.descriptors_left);
  }
  return "";
}

Objection harmed_others(const Attack& attack, const AttackEvidence& evidence) {
  for (const GuardRecord& other : evidence.others) {
    const bool refused_copy = attack.copies > 1 && other.outcome == Outcome::Rejected;
    if (other.outcome != Outcome::Finished && !refused_copy) {
      return fmt::format("a harmless run beside it ended as {}: {}", to_string(other.outcome),
                         other.cause);
    }
  }
  const int most = most_at_once(evidence.intervals);
  if (attack.copies > 1 && most > attack.limits.max_concurrent) {
    return fmt::format("{} ran at once", most);
  }
  return "";
}

Objection wrong_gpu(const Attack& attack, const AttackEvidence& evidence) {
  if (!attack.judges_gpu || evidence.record.gpu.has_value() == evidence.host_has_gpu) {
    return "";
  }
  return evidence.host_has_gpu ? "this host has a GPU, and the record has no measurement of it"
                               : "the record measures a GPU that this host does not have";
}

Objection objection(const Attack& attack, const AttackEvidence& evidence) {
  const GuardRecord& record = evidence.record;
  if (has_exit(record, os::kAttackBrokeThrough)) {
    return "it broke through";
  }
  if (!record.enforcement) {
    return "enforcement is switched off";
  }
  for (Objection found :
       {wrong_outcome(attack, record), too_late(attack, record), too_large(attack, record),
        too_busy(attack, record), wrong_exit(attack, record), wrong_verdict(record),
        left_something(attack, evidence), harmed_others(attack, evidence),
        wrong_gpu(attack, evidence)}) {
    if (!found.empty()) {
      return found;
    }
  }
  return "";
}

/// What speaks for it: the numbers that this attack is about.
std::string numbers(const Attack& attack, const AttackEvidence& evidence) {
  const GuardRecord& record = evidence.record;
  std::string text(to_string(record.outcome));
  if (attack.exit) {
    text += ", " + exit_text(record.exit);
  }
  if (attack.on_time) {
    text += fmt::format(" {:.0f} ms after its start (limit {:.0f} ms)", record.latency_ms,
                        milliseconds(attack.limits.timeout));
  }
  if (attack.most_overshoot) {
    text += fmt::format(", peak {}, {} above its limit", to_string(record.peak_memory),
                        to_string(overshoot(record)));
  }
  if (attack.holds_cpu) {
    text += fmt::format(", {:.2f} s of CPU time in {:.2f} s (its share is {:.2f} s)",
                        record.cpu_seconds, record.latency_ms / 1000, cpu_share(attack, record));
  }
  if (attack.program == "fork-bomb") {
    text += fmt::format(", {} processes seen, {} harmless runs beside it succeeded",
                        record.max_processes, evidence.others.size());
  }
  if (attack.copies > 1) {
    text += fmt::format(", {} asked, {} at once", attack.copies, most_at_once(evidence.intervals));
  }
  if (attack.judges_gpu) {
    text += record.gpu ? fmt::format(", measured: {:.0f} %", record.gpu->utilization_percent)
                       : ", no GPU: null in the record, its verdict is not measured";
  }
  if (!evidence.said.empty()) {
    text += ", " + evidence.said;
  }
  if (record.kill_ms) {
    text += fmt::format(", dead {:.1f} ms after the kill", *record.kill_ms);
  }
  return text + fmt::format(", {} survivors, {}/{} slots free", evidence.survivors,
                            evidence.free_slots, attack.limits.max_concurrent);
}

/// Whether it was ever kept from the processor: else the host left it too little to show anything.
bool was_held(const GuardRecord& record) {
  return record.paused_ms > 0 || (record.cgroup && record.cgroup->throttled_ms > 0);
}

bool could_not_run(const GuardRecord& record) {
  return record.outcome == Outcome::StartFailed || record.outcome == Outcome::Cancelled ||
         has_exit(record, os::kAttackNotMade) || has_exit(record, os::kAttackMisused);
}

}  // namespace

std::string_view to_string(Proof proof) {
  switch (proof) {
    case Proof::Proven:
      return "proven";
    case Proof::NotProven:
      return "not proven";
    case Proof::NotMeasured:
      return "not measured";
    case Proof::NotRun:
      return "not run";
  }
  return "";
}

std::optional<Interval> parse_interval(std::string_view text) {
  Interval interval;
  const char* const end = text.data() + text.size();
  const auto begin = std::from_chars(text.data(), end, interval.begin_ns);
  if (begin.ec != std::errc{} || begin.ptr == end || *begin.ptr != ' ') {
    return std::nullopt;
  }
  const auto second = std::from_chars(begin.ptr + 1, end, interval.end_ns);
  if (second.ec != std::errc{} || interval.end_ns < interval.begin_ns) {
    return std::nullopt;
  }
  return interval;
}

int most_at_once(std::span<const Interval> intervals) {
  int most = 0;
  for (const Interval& one : intervals) {  // the most live when one has just begun
    most = std::max(most, static_cast<int>(std::ranges::count_if(intervals, [&](const Interval& i) {
                      return i.begin_ns <= one.begin_ns && one.begin_ns < i.end_ns;
                    })));
  }
  return most;
}

Bytes overshoot(const GuardRecord& record) {
  return std::max(Bytes{}, record.peak_memory - record.limits.memory);
}

Finding judge(const Attack& attack, const AttackEvidence& evidence) {
  const GuardRecord& record = evidence.record;
  if (could_not_run(record)) {
    return {Proof::NotRun, evidence.said.empty() ? record.cause : evidence.said};
  }
  const Objection against = objection(attack, evidence);
  if (against.empty() && attack.holds_cpu && !was_held(record)) {
    return {Proof::NotRun,
            "the host left it too little of its processors; " + numbers(attack, evidence)};
  }
  if (against.empty()) {
    return {Proof::Proven, numbers(attack, evidence)};
  }
  return {Proof::NotProven, against + "; " + numbers(attack, evidence)};
}

Proof verdict_of(std::span<const Proof> proofs) {
  for (const Proof worst : {Proof::NotProven, Proof::NotRun}) {
    if (std::ranges::find(proofs, worst) != proofs.end()) {
      return worst;
    }
  }
  return Proof::Proven;
}

}  // namespace keisei::guard
