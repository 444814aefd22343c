#pragma once

#include <optional>
#include <string>

#include "guard/performance_manager.h"
#include "guard/record.h"
#include "os/cgroup.h"
#include "os/process.h"

namespace keisei::guard {

/// The subtree of cgroup v2 in which a supervisor makes a leaf for each run, or why it has none.
struct CgroupRoom {
  std::optional<os::CgroupTree> tree;
  std::string why_not;
};
/// Where this process was given such a subtree, moves it into a leaf of that: so before any child
/// is started, which would stay behind in the way.
[[nodiscard]] CgroupRoom enter_cgroup();

/// What a run's cgroup held and counted.
struct CgroupUse {
  bool used = false;
  std::string why_not = {};  ///< where it was not used
  bool holds_memory = false;
  std::optional<std::uint64_t> holds_tasks = std::nullopt;  ///< pids.max
  bool holds_cpu = false;
  bool idle = false;     ///< all the time
  bool kills = false;    ///< cgroup.kill is there
  bool freezes = false;  ///< the freezer, for all but the tree's init
  bool started = false;  ///< the command, in it
  bool sealed = false;   ///< nobody inside can leave it or change its limits
  os::CgroupAccount account = {};
};

/// The cgroup of one run; without one each wish is refused, and the other mechanisms serve.
class RunCgroup {
 public:
  /// `room` may be null.
  RunCgroup(const CgroupRoom* room, const GuardedCommand& command, const EvaluationLimits& limits);

  /// -1: none.
  [[nodiscard]] int directory_fd() const { return leaf_ ? leaf_->directory_fd() : -1; }
  [[nodiscard]] bool holds_memory() const { return use_.holds_memory; }
  [[nodiscard]] bool holds_cpu() const { return use_.holds_cpu; }
  /// It began with the slack class's weight, and sessions in it have none.
  [[nodiscard]] bool is_idle() const { return use_.idle; }
  /// Whether set_idle() can be asked.
  [[nodiscard]] bool can_weigh() const { return leaf_ && leaf_->can_weigh(); }
  /// What the training leaves over, or a full share: as often as one likes, a change is written.
  void set_idle(bool idle);
  /// Set of os::mechanism::, as the jail tells; nothing before that.
  void note_mechanisms(std::optional<std::uint32_t> told);
  /// All but the tree's init. False where they cannot be, or the kernel refused.
  bool freeze() { return use_.freezes && leaf_->freeze(); }
  bool thaw() { return use_.freezes && leaf_->thaw(); }
  /// It is to die: before the signal, since at low weight it could not leave its locks.
  void hurry();
  /// The init with all the rest.
  void kill();
  /// Once, when the tree is gone: reads the account and removes the leaf.
  [[nodiscard]] CgroupUse close();

 private:
  std::optional<os::CgroupLeaf> leaf_;
  bool seals_ = false;
  CgroupUse use_ = {};
};

// Pure.

/// The limit that the kernel held against the run by itself: a kill for memory, or refused forks
/// before an abnormal end.
[[nodiscard]] std::optional<Breach> cgroup_breach(const CgroupUse& use,
                                                  const EvaluationLimits& limits, Profile profile,
                                                  const std::optional<os::ExitStatus>& exit);

/// Nothing where it was not used.
[[nodiscard]] std::optional<CgroupRecord> cgroup_record(const CgroupUse& use);

/// Adds to `tier` what the cgroup held, and takes away what it made untrue.
void describe_cgroup(const CgroupUse& use, Tier& tier);

}  // namespace keisei::guard
