#include "guard/classify.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace keisei::guard {
namespace {

// bytes a CPU second. The kernel clears a page before its owner fills it: 2 to 5 GB/s with both, so
// this is above what programs do, and below the 10 GB/s and more at which pages of a file that is
// in memory already are mapped.
constexpr double kFillRate = 8e9;
constexpr int kNotFound = 127;
constexpr int kNotExecutable = 126;

/// The highest use of memory that this end vouches for.
Bytes peak_memory(const EndFacts& facts) {
  const Bytes sampled = facts.sampled_peak.value_or(Bytes{});
  if (!facts.exit || !facts.exit->signal) {
    return sampled;
  }
  const Bytes possible = facts.most_unseen ? sampled + *facts.most_unseen : facts.largest_process;
  return std::max(sampled, std::min(facts.largest_process, possible));
}

bool out_of_memory(const EndFacts& facts) {
  if (!facts.memory_limit) {
    return false;
  }
  const double share = static_cast<double>(peak_memory(facts).count) /
                       static_cast<double>(facts.memory_limit->count);
  const bool by_signal = facts.exit && facts.exit->signal.has_value();
  const bool says_so = facts.stderr_tail.find("bad_alloc") != std::string_view::npos;
  return share >= 0.9 || (says_so && (by_signal || facts.profile == Profile::Worker));
}

Ending abnormal(const EndFacts& facts, const os::ExitStatus& exit) {
  if (out_of_memory(facts)) {
    return {
        Outcome::OverMemory,
        fmt::format("ended by {} at a peak of {}, at its memory limit of {}", os::to_string(exit),
                    to_string(peak_memory(facts)), to_string(*facts.memory_limit))};
  }
  if (exit.signal == SIGXFSZ) {
    return {Outcome::OverFiles, "wrote a file beyond its size limit"};
  }
  if (exit.signal == SIGSYS) {
    return {Outcome::PolicyViolation, "made a system call that its profile forbids"};
  }
  return {Outcome::Crashed, fmt::format("ended by {}", os::to_string(exit))};
}

}  // namespace

Ending exec_failure(const std::string& program, int error) {
  return {Outcome::StartFailed,
          fmt::format("cannot start '{}': {}{}", program, strerror(error),
                      error == ENOENT   ? "; is it installed, and in PATH?"
                      : error == EACCES ? "; name a program that you may execute"
                                        : "")};
}

os::ExitStatus status_of_exec_failure(int error) {
  const bool missing = error == ENOENT || error == ENOTDIR;
  return {.code = missing ? kNotFound : kNotExecutable, .signal = std::nullopt};
}

Bytes most_filled_in(double cpu_seconds) {
  return {static_cast<std::int64_t>(kFillRate * std::max(0.0, cpu_seconds))};
}

Ending classify(const EndFacts& facts) {
  if (facts.start_failure) {
    return *facts.start_failure;
  }
  if (facts.decided) {
    return *facts.decided;
  }
  if (!facts.exit) {
    return {Outcome::Crashed, "the jail's init was killed from outside, and its tree with it"};
  }
  const bool by_itself = facts.exit->code.has_value();
  const bool abnormal_code = by_itself && *facts.exit->code != 0 &&
                             (facts.profile == Profile::Worker || out_of_memory(facts));
  if (!by_itself || abnormal_code) {
    return abnormal(facts, *facts.exit);
  }
  if (facts.wants_report && facts.report.empty()) {
    return {Outcome::BadReport, "ended without a report"};
  }
  return {Outcome::Finished, ""};
}

}  // namespace keisei::guard
