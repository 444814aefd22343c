#include "guard/run_cgroup.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "guard/tier.h"

namespace keisei::guard {
namespace {

os::CgroupLimits leaf_limits(const GuardedCommand& command, const EvaluationLimits& limits) {
  os::CgroupLimits wanted;
  wanted.weight =
      command.scheduling == Scheduling::Slack ? os::CgroupWeight::Idle : os::CgroupWeight::Full;
  if (command.enforcement == Enforcement::Disabled) {
    return wanted;
  }
  wanted.memory = limits.memory;
  wanted.cpu_percent = limits.cpu_percent;
  if (const std::uint64_t tasks = jail_spec(command, limits).tasks; tasks != os::kNoLimit) {
    wanted.tasks = tasks;
  }
  return wanted;
}

}  // namespace

CgroupRoom enter_cgroup() {
  const Result<os::CgroupPlace> place = os::find_delegated_cgroup(os::this_cgroup_host());
  if (!place) {
    return {.tree = std::nullopt, .why_not = place.error().message};
  }
  Result<os::CgroupTree> tree = os::CgroupTree::adopt(*place);
  if (!tree) {
    return {.tree = std::nullopt, .why_not = tree.error().message};
  }
  return {.tree = std::move(*tree), .why_not = {}};
}

RunCgroup::RunCgroup(const CgroupRoom* room, const GuardedCommand& command,
                     const EvaluationLimits& limits) {
  if (command.containment == Containment::Bare) {
    use_.why_not = "switched off with the namespaces";
    return;
  }
  if (room == nullptr || !room->tree) {
    use_.why_not = room == nullptr ? "nobody looked for one" : room->why_not;
    return;
  }
  const os::CgroupLimits wanted = leaf_limits(command, limits);
  Result<os::CgroupLeaf> leaf = room->tree->make_leaf(wanted);
  if (!leaf) {
    use_.why_not = leaf.error().message;
    return;
  }
  leaf_.emplace(std::move(*leaf));
  seals_ = room->tree->seals_leaves();
  use_ = {.used = true,
          .holds_memory = wanted.memory.has_value(),
          .holds_tasks = wanted.tasks,
          .holds_cpu = leaf_->holds_cpu(),
          .idle = leaf_->is_idle(),
          .kills = leaf_->can_kill()};
}

void RunCgroup::set_idle(bool idle) {
  if (leaf_ && leaf_->is_idle() != idle) {
    (void)leaf_->weigh(idle ? os::CgroupWeight::Idle : os::CgroupWeight::Full);
  }
}

void RunCgroup::note_mechanisms(std::optional<std::uint32_t> told) {
  const std::uint32_t held = told.value_or(0);
  use_.started = told.has_value();
  use_.freezes = leaf_ && leaf_->can_freeze() && (held & os::mechanism::kTreeInCgroup) != 0;
  use_.sealed = leaf_ && seals_ && (held & os::mechanism::kCgroupNamespace) != 0 &&
                (held & os::mechanism::kReadOnlyCgroups) != 0 && geteuid() != 0;
}

void RunCgroup::hurry() {
  if (leaf_) {
    leaf_->hurry();
  }
}

void RunCgroup::kill() {
  if (leaf_) {
    leaf_->kill();
  }
}

CgroupUse RunCgroup::close() {
  if (leaf_) {
    use_.account = leaf_->account();
    leaf_.reset();
  }
  return std::move(use_);
}

std::optional<Breach> cgroup_breach(const CgroupUse& use, const EvaluationLimits& limits,
                                    Profile profile, const std::optional<os::ExitStatus>& exit) {
  const os::CgroupAccount& account = use.account;
  if (use.holds_memory && account.oom_kills > 0) {
    const Bytes peak = account.memory_peak.value_or(limits.memory);
    return Breach{.outcome = Outcome::OverMemory,
                  .metric = "memory_mb",
                  .value = to_megabytes(peak),
                  .limit = to_megabytes(limits.memory),
                  .why = fmt::format("the kernel ended it at {} of memory, its limit (memory.max)"
                                     " being {}",
                                     to_string(peak), to_string(limits.memory))};
  }
  const bool abnormal =
      exit && (exit->signal || (profile == Profile::Worker && exit->code.value_or(0) != 0));
  if (use.holds_tasks && account.refused_tasks > 0 && abnormal) {
    const auto tasks = static_cast<double>(*use.holds_tasks);
    return Breach{.outcome = Outcome::OverProcesses,
                  .metric = "tasks",
                  .value = tasks + 1,
                  .limit = tasks,
                  .why = fmt::format("ended by {} after {} forks beyond {} processes and threads"
                                     " (pids.max) were refused",
                                     os::to_string(*exit), account.refused_tasks, tasks)};
  }
  return std::nullopt;
}

std::optional<CgroupRecord> cgroup_record(const CgroupUse& use) {
  if (!use.used) {
    return std::nullopt;
  }
  return CgroupRecord{.memory_peak = use.account.memory_peak,
                      .oom_kills = use.account.oom_kills,
                      .refused_tasks = use.account.refused_tasks,
                      .throttled_ms = use.account.throttled_seconds.value_or(0) * 1e3};
}

void describe_cgroup(const CgroupUse& use, Tier& tier) {
  if (!use.used) {
    tier.not_enforced.push_back(fmt::format("cgroup: not used: {}", use.why_not));
    return;
  }
  std::vector<std::string> held;
  if (use.holds_memory) {
    held.emplace_back("memory.max");
    held.emplace_back("memory.oom.group");
    // Files in memory, pipes and what is in flight count in there too.
    std::erase_if(tier.not_enforced, [](const auto& line) { return line.starts_with("memory:"); });
  }
  if (use.holds_tasks) {
    held.push_back(fmt::format("pids.max {}", *use.holds_tasks));
  }
  if (use.holds_cpu) {
    held.emplace_back("cpu.max");
    for (std::vector<std::string>* lines : {&tier.enforced, &tier.not_enforced}) {
      std::erase_if(*lines, [](const auto& line) { return line.starts_with("cpu:"); });
    }
    tier.enforced.emplace_back("cpu: cpu.max of the cgroup");
  }
  if (use.idle) {
    held.emplace_back("cpu.idle or the least cpu.weight");
  }
  if (use.kills) {
    held.emplace_back("cgroup.kill");
  }
  if (use.freezes) {
    held.emplace_back("cgroup.freeze");
  }
  tier.enforced.push_back(fmt::format("cgroup v2: {}", fmt::join(held, ", ")));
  const bool writes_nothing = std::ranges::any_of(
      tier.enforced, [](const std::string& line) { return line.starts_with("files:"); });
  if (use.started && !use.sealed && !writes_nothing) {
    tier.not_enforced.emplace_back(
        "cgroup: it may leave it, change its limits, and freeze its init and its guard");
  }
}

}  // namespace keisei::guard
