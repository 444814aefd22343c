#include "guard/tier.h"

#include <fmt/format.h>

#include <algorithm>

#include "os/capabilities.h"

namespace keisei::guard {
namespace {

constexpr int kWorkerProcesses = 64;
constexpr std::uint64_t kWorkerOpenFiles = 256;
constexpr std::uint64_t kWorkerStack = 8ULL << 20;  // of each thread; counts as data
constexpr int kTasksPerProcess = 4;                 // threads count as tasks
constexpr int kSpareTasks = 64;

std::string_view name(os::Containment containment) {
  switch (containment) {
    case os::Containment::PidNamespace:
      return "pid namespace";
    case os::Containment::UserPidNamespace:
      return "user and pid namespace";
    case os::Containment::Sweep:
      return "subreaper and sweep";
  }
  return "";
}

}  // namespace

EvaluationLimits with_profile_defaults(EvaluationLimits limits, Profile profile) {
  if (profile == Profile::Worker) {
    limits.processes = limits.processes.value_or(kWorkerProcesses);
    limits.file_size = limits.file_size.value_or(limits.memory);
  }
  return limits;
}

os::JailSpec jail_spec(const GuardedCommand& command, const EvaluationLimits& limits) {
  os::JailSpec spec;
  spec.memory_bytes = limits.memory.count;
  spec.timeout_ns = limits.timeout.count();
  spec.worker_profile = command.profile == Profile::Worker ? 1 : 0;
  spec.allow_namespaces = command.containment == Containment::Best ? 1 : 0;
  spec.own_session = command.keep_session ? 0 : 1;
  spec.slack = command.scheduling == Scheduling::Slack ? 1 : 0;
  if (command.profile == Profile::Worker) {
    spec.open_files = kWorkerOpenFiles;
    spec.stack_bytes = kWorkerStack;
  }
  if (command.enforcement == Enforcement::Disabled) {
    return spec;
  }
  spec.data_bytes = static_cast<std::uint64_t>(limits.memory.count);
  if (limits.file_size) {
    spec.file_bytes = static_cast<std::uint64_t>(limits.file_size->count);
  }
  if (limits.processes) {
    spec.tasks = static_cast<std::uint64_t>(*limits.processes) * kTasksPerProcess + kSpareTasks;
  }
  return spec;
}

Tier describe_tier(const GuardedCommand& command, const EvaluationLimits& limits,
                   std::optional<os::Containment> containment) {
  Tier tier;
  if (!containment) {
    return tier;
  }
  const auto say = [&tier](bool holds, std::string text) {
    (holds ? tier.enforced : tier.not_enforced).push_back(std::move(text));
  };
  const bool on = command.enforcement == Enforcement::Enabled;
  const bool worker = command.profile == Profile::Worker;
  const bool namespaced = *containment != os::Containment::Sweep;
  say(true, fmt::format("lifetime: {}, lifeline to the guard", name(*containment)));
  if (!namespaced) {
    say(false,
        "lifetime: no pid namespace; a tree that forks faster than the sweep may survive it, and "
        "so "
        "may one that kills its init");
  }
  say(on, "timeout: wall clock");
  say(on, "memory: RLIMIT_DATA per process, tree sampled every 2 to 20 ms");
  say(on && limits.processes.has_value(), *containment == os::Containment::UserPidNamespace
                                              ? "processes: sampled, RLIMIT_NPROC in the namespace"
                                              : "processes: sampled");
  say(on && limits.file_size.has_value(), "file size: RLIMIT_FSIZE");
  say(on && limits.cpu_percent.has_value(), "cpu: stop and continue on measured time");
  say(worker, "system calls: seccomp");
  say(worker, "network: seccomp, no sockets");
  say(false, "files: readable and writable as for this user");
  say(false, "memory: files on /dev/shm and /tmp that are written and closed; pipe buffers");
  if (!worker) {
    say(false, "memory: descriptors in flight between local sockets");
  }
  if (command.scheduling == Scheduling::Slack) {
    const bool weight = os::probe_capabilities().autogroup && !command.keep_session;
    say(true, weight ? "scheduling: SCHED_IDLE, autogroup 19" : "scheduling: SCHED_IDLE");
  }
  return tier;
}

}  // namespace keisei::guard
