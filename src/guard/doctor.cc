#include "guard/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace keisei::guard {
namespace {

constexpr int kNewestLandlock = 6;  // the first that keeps signals inside
constexpr std::string_view kTmpfs = "1021994";

/// Empty where it was not told.
std::string_view told(const std::optional<Inspection>& inspection, std::string_view key) {
  if (!inspection) {
    return "";
  }
  const auto found = inspection->find(key);
  return found == inspection->end() ? std::string_view() : found->second;
}

std::string_view told(const Inspection& inspection, std::string_view key) {
  const auto found = inspection.find(key);
  return found == inspection.end() ? std::string_view() : found->second;
}

/// The line of a tier that starts so; empty: none.
std::string line_of(const std::vector<std::string>& lines, std::string_view start) {
  const auto found = std::ranges::find_if(
      lines, [start](const std::string& line) { return line.starts_with(start); });
  return found == lines.end() ? "" : *found;
}

std::string size_text(std::string_view digits) {
  std::int64_t bytes = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), bytes);
  return to_string(Bytes{bytes});
}

bool is_inside(const HostFacts& facts, std::string_view key) {
  const std::string_view inside = told(facts.worker, key);
  return !inside.empty() && inside != told(facts.outside, key);
}

/// Appends a row; where the jail could not be tried, that is why.
class Table {
 public:
  explicit Table(const HostFacts& facts) : facts_(facts) {}

  void tried(std::string name, bool holds, Mechanism present, Mechanism missing) {
    Mechanism row = holds ? std::move(present) : std::move(missing);
    if (!facts_.worker && !holds) {
      row = {.name = {}, .standing = Standing::Absent, .why = "no jail: " + facts_.failure};
    }
    row.name = std::move(name);
    rows_.push_back(std::move(row));
  }
  std::vector<Mechanism> take() { return std::move(rows_); }

 private:
  const HostFacts& facts_;
  std::vector<Mechanism> rows_;
};

constexpr const char* kNoRemedy = "none known";

Mechanism enforced(std::string why, std::string remedy = "") {
  return {.name = {},
          .standing = Standing::Enforced,
          .why = std::move(why),
          .remedy = std::move(remedy)};
}
Mechanism measured(std::string why, std::string remedy = "") {
  return {.name = {},
          .standing = Standing::MeasuredOnly,
          .why = std::move(why),
          .remedy = std::move(remedy)};
}
Mechanism absent(std::string why, std::string remedy = "") {
  return {
      .name = {}, .standing = Standing::Absent, .why = std::move(why), .remedy = std::move(remedy)};
}

void add_namespaces(Table& table, const HostFacts& facts) {
  const std::string& remedy = facts.namespaces_remedy;
  table.tried("pid namespace", is_inside(facts, "pid_namespace"),
              enforced("no process outlives its run, whoever is killed"),
              absent("the kernel refused one: a tree that forks faster than the sweep, or kills "
                     "its init, may survive",
                     remedy));
  table.tried("user namespace", is_inside(facts, "user_namespace"),
              enforced("gives an account without privilege all others"),
              facts.privileged
                  ? absent("not used as root, which can do without", "none needed")
                  : absent("the kernel refused one: no other namespace without it", remedy));
  table.tried("mount namespace", is_inside(facts, "mount_namespace"),
              enforced("a worker has mounts of its own"),
              absent("a worker sees the host's mounts", remedy));
  table.tried("network namespace", is_inside(facts, "network_namespace"),
              enforced("a worker has no network to reach"),
              absent("the host's network is there; sockets are refused by seccomp alone", remedy));
}

void add_shutters(Table& table, const HostFacts& facts) {
  table.tried("seccomp", told(facts.worker, "seccomp") == "2",
              enforced("a worker's system calls are filtered"),
              absent("the kernel took no filter", "a kernel with CONFIG_SECCOMP_FILTER=y"));
  const std::string landlock = line_of(facts.tier.enforced, "files: Landlock");
  table.tried(
      "Landlock", !landlock.empty(),
      facts.landlock_abi < kNewestLandlock
          ? enforced(fmt::format("ABI {}: no write outside the scratch", facts.landlock_abi),
                     "a kernel from 6.12 on has ABI 6, which keeps signals inside too")
          : enforced(fmt::format("ABI {}: no write outside the scratch", facts.landlock_abi)),
      facts.landlock_abi == 0
          ? absent("the kernel has none", "boot with lsm=landlock,... (Linux 5.13 or newer)")
          : absent(
                fmt::format("the kernel has ABI {}, the jail did not use it", facts.landlock_abi),
                kNoRemedy));
  const std::string_view write = told(facts.worker, "write_outside");
  table.tried(
      "files outside", !write.empty() && write != "0",
      enforced(fmt::format("a worker's write outside its scratch was refused (errno {})", write)),
      absent("a worker could write a file outside its scratch, as its user",
             facts.namespaces_remedy));
  const std::string scratch = line_of(facts.tier.enforced, "scratch:");
  table.tried("scratch", !scratch.empty() && told(facts.worker, "scratch_type") == kTmpfs,
              enforced(fmt::format("{} of its own at {}, gone with the run",
                                   size_text(told(facts.worker, "scratch_bytes")),
                                   told(facts.worker, "scratch"))),
              absent("a worker's temporary files lie among the host's, bounded one by one only",
                     facts.namespaces_remedy));
}

std::string cgroup_remedy(const HostFacts& facts) {
  return facts.cgroup_mounted
             ? "systemd-run --user --scope -p Delegate=yes -- keisei ..."
             : "boot with systemd.unified_cgroup_hierarchy=1 (controllers belong to version 1 now)";
}

bool in_cgroup(const HostFacts& facts) { return is_inside(facts, "cgroup"); }

/// Who may not ask what a mapping holds sees the pages that are in page tables, and no others.
std::string sampled_memory(const HostFacts& facts) {
  std::string text =
      "sampled at least every 40 ms, more often near the limit, killed when above; may overshoot "
      "by some MB";
  if (!line_of(facts.tier.not_enforced, "memory: without a cgroup").empty()) {
    text +=
        "; shared memory in no page table is held to the host's growth of a worker, and not at all "
        "of a command";
  }
  return text;
}

void add_resources(Table& table, const HostFacts& facts) {
  const bool cgroup = in_cgroup(facts);
  table.tried("cgroup v2", cgroup, enforced(line_of(facts.tier.enforced, "cgroup")),
              absent(facts.cgroup_reason, cgroup_remedy(facts)));
  const std::string_view data = told(facts.worker, "limit_data");
  table.tried("memory, one process", !data.empty(),
              enforced(fmt::format("RLIMIT_DATA ({}): no overshoot", size_text(data))),
              absent("RLIMIT_DATA was not set", kNoRemedy));
  table.tried("memory, the tree", cgroup, enforced("memory.max: no overshoot"),
              measured(sampled_memory(facts), cgroup_remedy(facts)));
  table.tried(
      "process limit", facts.threads_refused.has_value(),
      enforced(facts.threads_refused.value_or("") + (cgroup ? "" : "; what is between is sampled")),
      measured("sampled at least every 40 ms, more often near the limit, killed when above",
               facts.privileged ? "run keisei as an ordinary user" : facts.namespaces_remedy));
  const std::string processes = line_of(facts.tier.enforced, "processes:");
  const std::string_view tasks = told(facts.worker, "limit_tasks");
  const bool counted = !facts.privileged && !tasks.empty() && is_inside(facts, "user_namespace");
  table.tried("RLIMIT_NPROC", counted,
              enforced(fmt::format("{} tasks, counted in the user namespace", tasks)),
              facts.privileged
                  ? absent("does not hold root, not even in a user namespace",
                           "run keisei as an ordinary user")
                  : absent("would count all of this user's processes", facts.namespaces_remedy));
  table.tried("pid_max of namespace", processes.find("pid_max") != std::string::npos,
              enforced("a backstop against fork bombs that holds root too"),
              absent("not to be had here", "Linux 6.14 or newer"));
}

/// As a slack run found it: the switch alone tells nothing in a cgroup with the controller cpu.
bool sessions_weigh(const HostFacts& facts) {
  return told(facts.slack, "autogroup").find("nice 19") != std::string_view::npos;
}

/// It was used, and has a weight.
bool own_cgroup_weighs(const HostFacts& facts) { return facts.cgroup_weighs && in_cgroup(facts); }

/// Where a cgroup has the processors sessions have no weight, and its own may be set.
std::string weight_remedy(const HostFacts& facts) {
  return facts.autogroup ? cgroup_remedy(facts) : "sysctl -w kernel.sched_autogroup_enabled=1";
}

void add_scheduling(Table& table, const HostFacts& facts) {
  table.tried("SCHED_IDLE", told(facts.slack, "idle_class") == "1",
              enforced("the slack class runs on what training leaves over"),
              absent("the class could not be set", kNoRemedy));
  table.tried("autogroup", sessions_weigh(facts),
              enforced("the slack class's session has weight 19"),
              own_cgroup_weighs(facts)
                  ? absent("a cgroup with the controller cpu leaves sessions no weight",
                           "none needed: the run's own cgroup has one")
              : facts.autogroup
                  ? absent("switched on, but a cgroup with the controller cpu leaves sessions no "
                           "weight, or it could not be set",
                           weight_remedy(facts))
                  : absent("switched off: SCHED_IDLE alone, inside the trainer's own group",
                           weight_remedy(facts)));
}

void add_senses(Table& table, const HostFacts& facts) {
  table.tried("pidfd", facts.pidfd, enforced("signals never reach a stranger by a reused number"),
              absent("pidfd_open failed", "Linux 5.3 or newer"));
  table.tried("pressure (PSI)", facts.pressure,
              measured("memory and CPU pressure of the host can be read"),
              absent("/proc/pressure cannot be read", "boot with psi=1"));
  table.tried("GPU", facts.gpu_present, measured(facts.gpu),
              absent(facts.gpu + ": null in every record, its verdict is not measured",
                     "a GPU with its driver (NVML, or DRM)"));
  table.tried("training impact", sessions_weigh(facts) || own_cgroup_weighs(facts),
              measured("measured in random hold-outs; held by stopping evaluations and lowering "
                       "their weight; keisei verify attacks it"),
              measured("measured in random hold-outs; held by stopping evaluations alone",
                       weight_remedy(facts)));
}

}  // namespace

std::string_view to_string(Standing standing) {
  switch (standing) {
    case Standing::Enforced:
      return "ENFORCED";
    case Standing::MeasuredOnly:
      return "MEASURED ONLY";
    case Standing::Absent:
      return "ABSENT";
  }
  return "";
}

Inspection parse_inspection(std::string_view text) {
  Inspection inspection;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    const std::size_t blank = line.find(' ');
    if (blank != std::string_view::npos) {
      std::string_view value = line.substr(blank + 1);
      while (value.ends_with(' ')) {
        value.remove_suffix(1);
      }
      inspection.insert_or_assign(std::string(line.substr(0, blank)), std::string(value));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return inspection;
}

std::vector<Mechanism> diagnose(const HostFacts& facts) {
  Table table(facts);
  add_namespaces(table, facts);
  add_shutters(table, facts);
  add_resources(table, facts);
  add_scheduling(table, facts);
  add_senses(table, facts);
  return table.take();
}

}  // namespace keisei::guard
