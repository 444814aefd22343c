#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "guard/record.h"

// The judgement of `keisei doctor`: from what was tried and read on a host to one row per
// mechanism. Pure.
//
//   HostFacts (guard/doctor_host.h gathers them) --diagnose--> Mechanism...
namespace keisei::guard {

enum class Standing {
  Enforced,      ///< seen at work in a jail of this host
  MeasuredOnly,  ///< seen and acted upon, too late to refuse
  Absent,
};
[[nodiscard]] std::string_view to_string(Standing standing);

struct Mechanism {
  std::string name;
  Standing standing = Standing::Absent;
  std::string why;
  std::string remedy = "";  ///< the one command or change that would improve it; empty: none
};

/// «key value» lines of a process that looked around: keisei-attack's inspect in a jail.
using Inspection = std::map<std::string, std::string, std::less<>>;
[[nodiscard]] Inspection parse_inspection(std::string_view text);

/// What a host showed. Everything that a jail can do was tried in one.
struct HostFacts {
  bool privileged = false;
  Inspection outside;                ///< the namespaces and the cgroup of this process
  std::optional<Inspection> worker;  ///< in a jail of the worker profile; nothing: it failed
  std::optional<Inspection> slack;   ///< in one of the slack class
  std::string failure;               ///< why one of them is missing
  Tier tier;                         ///< of the worker's record
  std::optional<std::string> threads_refused;  ///< how the kernel stopped a thread bomb
  std::string namespaces_remedy;               ///< where no namespace could be made
  bool cgroup_mounted = false;                 ///< version 2, with controllers
  bool cgroup_weighs = false;  ///< where a run has a cgroup of its own, that has a weight
  std::string cgroup_reason;   ///< why none was used; empty where one was
  int landlock_abi = 0;        ///< of the kernel
  bool autogroup = false;      ///< the host's switch
  bool pressure = false;       ///< /proc/pressure can be read
  bool pidfd = false;
  bool gpu_present = false;
  std::string gpu;  ///< what can be told about it, or why nothing
};

[[nodiscard]] std::vector<Mechanism> diagnose(const HostFacts& facts);

}  // namespace keisei::guard
