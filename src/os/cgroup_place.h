#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace keisei::os {

// Where a subtree of cgroup v2 is that this process was given, if there is one.
//
// The rule. A subtree is ours to divide only if somebody gave it to us:
//   named      the environment variable KEISEI_CGROUP has its directory, or
//   marked     it is our own cgroup and systemd delegated it (Delegate=yes leaves a mark on it), or
//   handed     it is our own cgroup, it belongs to this account, which is not root, and it is not
//   an
//              undelegated unit of systemd's.
// That root may write everywhere is no permission. The root of the hierarchy is nobody's. Only
// version 2 with the controllers memory and pids counts, so neither version 1 nor a hybrid host
// whose controllers sit there. KEISEI_CGROUP=off: never.

inline constexpr std::string_view kSupervisorCgroup = "keisei-supervisor";
inline constexpr std::string_view kRunCgroupPrefix = "keisei-run-";

struct CgroupHost {
  std::filesystem::path root = "/";  ///< below it stand proc/ and the mount points
  std::string named;                 ///< KEISEI_CGROUP
  uid_t account = 0;                 ///< effective
};
/// This host as the process sees it.
[[nodiscard]] CgroupHost this_cgroup_host();

struct CgroupPlace {
  std::filesystem::path directory;
  bool cpu = false;         ///< the controller cpu is there too
  bool occupied = false;    ///< this process itself is still in it, not in a leaf of it
  bool nsdelegate = false;  ///< as of the mount
};
/// Reads only. The error is the reason why there is none, for people.
[[nodiscard]] Result<CgroupPlace> find_delegated_cgroup(const CgroupHost& host);

/// Whether the controller cpu weighs this process's cgroup, or one above it: the kernel then gives
/// no weight to sessions. Of what a cgroup namespace hides, version 1 tells nothing.
[[nodiscard]] bool is_weighed_by_cgroup(const CgroupHost& host);

/// What the rule looks at.
struct CgroupCandidate {
  std::string directory;
  bool memory = false;
  bool pids = false;
  bool hierarchy_root = false;
  bool named = false;
  bool in_unit = false;         ///< below a slice, scope or service of systemd's
  bool unit_delegated = false;  ///< the innermost of these has the mark
  bool is_unit = false;         ///< it is that innermost one
  bool owned = false;           ///< by this account
  bool writable = false;        ///< the directory, its cgroup.procs and cgroup.subtree_control
  bool privileged = false;      ///< this account is root
};
/// Pure. Nothing: it is ours to divide.
[[nodiscard]] std::optional<std::string> why_not_ours(const CgroupCandidate& candidate);

struct CgroupMount {
  std::string point;
  std::string root;         ///< of what is mounted there, within the hierarchy
  bool nsdelegate = false;  ///< a cgroup namespace keeps who is in it from its own limits
};
/// The first cgroup v2 of /proc/self/mountinfo.
[[nodiscard]] std::optional<CgroupMount> parse_cgroup_mount(std::string_view mountinfo);

/// Whether `text`, a /proc/self/cgroup, has the controller cpu of version 1 below its root.
[[nodiscard]] bool is_weighed_by_version_1(std::string_view text);

/// The version 2 line of /proc/self/cgroup.
[[nodiscard]] std::optional<std::string> parse_own_cgroup(std::string_view text);

/// Whether the words of `text`, a cgroup.controllers, hold `name`.
[[nodiscard]] bool has_controller(std::string_view text, std::string_view name);

}  // namespace keisei::os
