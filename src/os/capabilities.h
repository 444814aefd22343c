#pragma once

namespace keisei::os {

/// What this kernel and this account offer for holding a process tree. Cheap files are read;
/// nothing is started.
struct Capabilities {
  bool privileged = false;       ///< effective user id 0
  bool user_namespaces = false;  ///< not forbidden by what can be read; only trying tells for sure
  bool autogroup = false;
  bool seccomp_filter = false;
  bool cgroup_delegated = false;  ///< a cgroup v2 of ours that we may write to
  int landlock_abi = 0;           ///< 0: none
};
[[nodiscard]] Capabilities probe_capabilities();

}  // namespace keisei::os
