#include "os/capabilities.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <string_view>

#include "os/cgroup_place.h"
#include "os/procfs.h"

namespace keisei::os {
namespace {

constexpr unsigned kLandlockVersionQuery = 1;

bool says(const char* path, std::string_view digit) {
  const std::optional<std::string> text = read_proc(path);
  return text && text->starts_with(digit);
}

bool user_namespaces_allowed() {
  return !says("/proc/sys/user/max_user_namespaces", "0\n") &&
         !says("/proc/sys/kernel/unprivileged_userns_clone", "0") &&
         !says("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") &&
         access("/proc/self/ns/user", F_OK) == 0;
}

}  // namespace

Capabilities probe_capabilities() {
  const long landlock = syscall(SYS_landlock_create_ruleset, nullptr, 0UL, kLandlockVersionQuery);
  return {.privileged = geteuid() == 0,
          .user_namespaces = user_namespaces_allowed(),
          .autogroup = says("/proc/sys/kernel/sched_autogroup_enabled", "1"),
          .seccomp_filter = access("/proc/sys/kernel/seccomp/actions_avail", F_OK) == 0,
          .cgroup_delegated = find_delegated_cgroup(this_cgroup_host()).has_value(),
          .landlock_abi = landlock > 0 ? static_cast<int>(landlock) : 0};
}

}  // namespace keisei::os
