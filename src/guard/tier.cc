#include "guard/tier.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

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

os::JailSession jail_session(Session session) {
  switch (session) {
    case Session::Own:
      return os::JailSession::Own;
    case Session::TerminalBackground:
      return os::JailSession::InheritedBackground;
    case Session::TerminalForeground:
      return os::JailSession::InheritedForeground;
  }
  return os::JailSession::Own;
}

}  // namespace

EvaluationLimits with_profile_defaults(EvaluationLimits limits, Profile profile) {
  if (profile == Profile::Worker) {
    limits.processes = limits.processes.value_or(kWorkerProcesses);
    limits.file_size = limits.file_size.value_or(limits.memory);
  }
  return limits;
}

namespace {

std::uint32_t knocked_out(const Without& without) {
  std::uint32_t set = 0;
  set |= without.user_namespace ? os::mechanism::kUserNamespace : 0;
  set |= without.mount_namespace ? os::mechanism::kReadOnlyFiles | os::mechanism::kOwnProc : 0;
  set |= without.network_namespace ? os::mechanism::kNetworkNamespace : 0;
  set |= without.landlock ? os::mechanism::kLandlock : 0;
  set |= without.seccomp ? os::mechanism::kSeccomp : 0;
  return set;
}

}  // namespace

os::JailSpec jail_spec(const GuardedCommand& command, const EvaluationLimits& limits) {
  os::JailSpec spec;
  spec.memory_bytes = limits.memory.count;
  spec.timeout_ns = limits.timeout.count();
  spec.worker_profile = command.profile == Profile::Worker ? 1 : 0;
  spec.allow_namespaces = command.containment == Containment::Best ? 1 : 0;
  spec.session = jail_session(command.session);
  spec.slack = command.scheduling == Scheduling::Slack ? 1 : 0;
  spec.without = knocked_out(command.without);
  if (command.profile == Profile::Worker) {
    spec.open_files = kWorkerOpenFiles;
    spec.stack_bytes = kWorkerStack;
    spec.scratch_bytes = static_cast<std::uint64_t>(std::min(command.scratch, limits.memory).count);
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

namespace {

/// Collects the lines of one tier.
class Lines {
 public:
  Lines(const GuardedCommand& command, const EvaluationLimits& limits, const os::JailHold& hold,
        bool mapped_is_measured)
      : command_(command), limits_(limits), hold_(hold), mapped_is_measured_(mapped_is_measured) {}

  Tier write() && {
    lifetime();
    limits();
    if (!hold_.mechanisms) {
      say(false, "all else: the command never started");
      return std::move(tier_);
    }
    if (worker()) {
      calls_and_network();
      files();
    } else {
      own_proc();
      say(false, "system calls: seccomp");
      unfiltered();
      say(false, "network: seccomp, no sockets");
      say(false, "files: readable and writable as for this user");
      say(false, "memory: files on /dev/shm and /tmp that are written and closed; pipe buffers");
    }
    scheduling();
    return std::move(tier_);
  }

 private:
  void say(bool holds, std::string text) {
    (holds ? tier_.enforced : tier_.not_enforced).push_back(std::move(text));
  }
  [[nodiscard]] bool has(std::uint32_t mechanism) const {
    return (hold_.mechanisms.value_or(0) & mechanism) != 0;
  }
  [[nodiscard]] bool on() const { return command_.enforcement == Enforcement::Enabled; }
  [[nodiscard]] bool worker() const { return command_.profile == Profile::Worker; }

  void lifetime() {
    say(true, fmt::format("lifetime: {}, lifeline to the guard", name(hold_.containment)));
    if (hold_.containment == os::Containment::Sweep) {
      say(false,
          "lifetime: no pid namespace; a tree that forks faster than the sweep may survive it, "
          "and so may one that kills its init");
      if (!has(os::mechanism::kLandlockScope)) {
        say(false,
            "signals: it may signal processes of this user, the guard and the training too; "
            "whoever stops the guard stops its limits");
      }
    }
  }

  void limits() {
    say(on(), "timeout: wall clock");
    say(on(),
        "memory: RLIMIT_DATA per process, tree sampled at least every 40 ms, more often near the "
        "limit");
    std::string processes = "processes: sampled";
    processes += has(os::mechanism::kTaskLimit) ? ", RLIMIT_NPROC in the namespace" : "";
    processes += has(os::mechanism::kTaskCeiling) ? ", pid_max of the namespace" : "";
    say(on() && limits_.processes.has_value(), std::move(processes));
    say(on() && limits_.file_size.has_value(), "file size: RLIMIT_FSIZE");
    say(on() && limits_.cpu_percent.has_value(), "cpu: stop and continue on measured time");
    say(false, "cpu: without cpu.max, processor time of children that nobody waits for");
    if (!mapped_is_measured_) {
      say(false, worker() ? "memory: without a cgroup, shared memory that is mapped and in no page "
                            "table is only bounded, by the growth of the host's"
                          : "memory: without a cgroup, shared memory that is mapped and in no page "
                            "table");
    }
  }

  void own_proc() {
    if (has(os::mechanism::kOwnProc)) {
      say(true, "/proc: its own processes, under the numbers that they have for it");
    } else if (hold_.containment != os::Containment::Sweep) {
      say(false,
          "/proc: not its own, where a program that looks itself up by its number finds another one"
          " (CUDA does not start then: error 304)");
    }
  }

  void calls_and_network() {
    const bool seccomp = has(os::mechanism::kSeccomp);
    say(seccomp, "system calls: seccomp");
    std::vector<std::string> network;
    if (seccomp) {
      network.emplace_back("seccomp, no sockets");
    }
    if (has(os::mechanism::kNetworkNamespace)) {
      network.emplace_back("own namespace");
    }
    if (has(os::mechanism::kLandlockNetwork)) {
      network.emplace_back("Landlock, no TCP");
    }
    say(seccomp || has(os::mechanism::kNetworkNamespace),
        network.empty() ? "network: as for this user"
                        : fmt::format("network: {}", fmt::join(network, ", ")));
    say(seccomp || has(os::mechanism::kIpcNamespace),
        has(os::mechanism::kIpcNamespace) ? "IPC objects: own namespace" : "IPC objects: seccomp");
    if (!seccomp) {
      unfiltered();
    }
  }

  /// What a filter of system calls alone refuses.
  void unfiltered() {
    say(false, "locks: on every file that it can read, the run's database too");
    say(false, "scheduling: sessions and processors of its own choice");
    say(false, "memory: descriptors in flight between local sockets");
  }

  void files() {
    const bool mounts = has(os::mechanism::kReadOnlyFiles);
    const bool landlock = has(os::mechanism::kLandlockFiles);
    if (mounts) {
      say(true, "files: read-only mounts");
    }
    if (landlock) {
      say(true, fmt::format("files: Landlock ABI {}, no write", hold_.landlock_abi));
    }
    if (has(os::mechanism::kScratch)) {
      say(true, fmt::format("scratch: {} on /dev/shm, gone with the run",
                            to_string(std::min(command_.scratch, limits_.memory))));
    } else {
      say(false, "scratch: none");
    }
    if (mounts || landlock) {
      say(false, "files: readable as for this user");
      say(false, "memory: pipe buffers, page tables and other memory of the kernel");
    } else {
      say(false, "files: readable and writable as for this user");
      say(false, "memory: files on /dev/shm and /tmp that are written and closed; pipe buffers");
    }
    if (!mounts && landlock) {
      say(false, "files: their modes and times may be changed");
    }
  }

  void scheduling() {
    if (has(os::mechanism::kIdleClass)) {
      say(true, has(os::mechanism::kIdleSession) ? "scheduling: SCHED_IDLE, autogroup 19"
                                                 : "scheduling: SCHED_IDLE");
    }
  }

  const GuardedCommand& command_;
  const EvaluationLimits& limits_;
  const os::JailHold& hold_;
  const bool mapped_is_measured_;
  Tier tier_;
};

}  // namespace

Tier describe_tier(const GuardedCommand& command, const EvaluationLimits& limits,
                   const std::optional<os::JailHold>& hold, bool mapped_is_measured) {
  return hold ? Lines(command, limits, *hold, mapped_is_measured).write() : Tier{};
}

}  // namespace keisei::guard
