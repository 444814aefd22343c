#include "guard/doctor_host.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <thread>
#include <utility>

#include "base/unique_fd.h"
#include "guard/limits.h"
#include "guard/proving_ground.h"
#include "os/attack.h"
#include "os/capabilities.h"
#include "os/cgroup_place.h"
#include "os/gpu.h"
#include "os/procfs.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr const char* kThreads = "600";  // above every limit that the jail sets for 8 processes

std::string link_target(const char* path) {
  std::error_code error;
  return std::filesystem::read_symlink(path, error).string();
}

bool says(const char* path, std::string_view start) {
  const auto text = os::read_proc(path);
  return text && text->starts_with(start);
}

/// As keisei-attack tells it from inside.
Inspection look_outside() {
  std::string cgroup = os::read_proc("/proc/self/cgroup").value_or("");
  std::ranges::replace(cgroup, '\n', ' ');
  return parse_inspection(fmt::format(
      "pid_namespace {}\nuser_namespace {}\nmount_namespace {}\nnetwork_namespace {}\ncgroup {}\n",
      link_target("/proc/self/ns/pid"), link_target("/proc/self/ns/user"),
      link_target("/proc/self/ns/mnt"), link_target("/proc/self/ns/net"), cgroup));
}

EvaluationLimits trial_limits() {
  EvaluationLimits limits;
  limits.timeout = 15s;
  limits.processes = 8;
  return limits;
}

GuardedRun inspect(ProvingGround& ground, Scheduling scheduling) {
  GuardedCommand command = ground.command("inspect", {(ground.directory() / "outside").string()});
  command.scheduling = scheduling;
  command.report_fd = os::kAttackReportFd;
  return std::move(ground.run({std::move(command)}, trial_limits()).front());
}

/// How the kernel refused a thread, if it did.
std::optional<std::string> try_threads(ProvingGround& ground) {
  const GuardedRun run =
      std::move(ground.run({ground.command("threads", {kThreads})}, trial_limits()).front());
  if (run.record.outcome != Outcome::Finished || run.stderr_tail.empty()) {
    return std::nullopt;
  }
  return run.stderr_tail.substr(0, run.stderr_tail.find('\n'));
}

void try_jail(ProvingGround& ground, HostFacts& facts) {
  GuardedRun worker = inspect(ground, Scheduling::Burst);
  if (worker.record.outcome != Outcome::Finished) {
    facts.failure = worker.record.cause;
    return;
  }
  facts.worker = parse_inspection(worker.report);
  facts.tier = std::move(worker.record.tier);
  const GuardedRun slack = inspect(ground, Scheduling::Slack);
  if (slack.record.outcome == Outcome::Finished) {
    facts.slack = parse_inspection(slack.report);
  }
  facts.threads_refused = try_threads(ground);
}

/// Why the kernel makes no namespace for us, as far as it tells.
std::string namespaces_remedy() {
  if (says("/proc/sys/kernel/unprivileged_userns_clone", "0")) {
    return "sysctl -w kernel.unprivileged_userns_clone=1";
  }
  if (says("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1")) {
    return "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
  }
  if (says("/proc/sys/user/max_user_namespaces", "0\n")) {
    return "sysctl -w user.max_user_namespaces=15000";
  }
  return "in a container: start it with --security-opt seccomp=unconfined";
}

void read_cgroup(HostFacts& facts) {
  const Result<os::CgroupPlace> place = os::find_delegated_cgroup(os::this_cgroup_host());
  if (!place) {
    const std::string& reason = place.error().message;
    facts.cgroup_reason = reason.substr(0, reason.find(';'));
  }
  facts.cgroup_weighs = place && place->cpu;
  const auto mount = os::parse_cgroup_mount(os::read_proc("/proc/self/mountinfo").value_or(""));
  const std::string controllers =
      mount ? os::read_proc(mount->point + "/cgroup.controllers").value_or("") : "";
  facts.cgroup_mounted = os::has_controller(controllers, "memory");
}

void read_gpu(HostFacts& facts) {
  os::GpuSupport gpu = os::describe_gpu();
  std::ranges::replace(gpu.detail, '\n', ';');  // a line for each device
  facts.gpu_present = gpu.measurable;
  facts.gpu = std::move(gpu.detail);
}

}  // namespace

Result<HostFacts> examine_host() {
  HostFacts facts;
  read_gpu(facts);  // may take seconds, and on the ground nobody hears an interrupt meanwhile
  KEISEI_TRY(ground, ProvingGround::make({}));
  const os::Capabilities capabilities = os::probe_capabilities();
  facts.privileged = capabilities.privileged;
  facts.autogroup = capabilities.autogroup;
  facts.landlock_abi = capabilities.landlock_abi;
  facts.outside = look_outside();
  facts.namespaces_remedy = namespaces_remedy();
  facts.pressure = os::read_proc("/proc/pressure/memory").has_value();
  facts.pidfd = static_cast<bool>(UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0))));
  read_cgroup(facts);
  try_jail(ground, facts);
  ground.end_survivors();
  return facts;
}

std::string describe_host() {
  utsname host = {};
  (void)uname(&host);  // cannot fail with a good pointer
  const Result<Bytes> memory = host_memory();
  return fmt::format("Linux {}, {} cores, {}, {}", host.release,
                     std::thread::hardware_concurrency(),
                     memory ? to_string(*memory) : "memory unknown",
                     geteuid() == 0 ? "root" : fmt::format("user {}", geteuid()));
}

}  // namespace keisei::guard
