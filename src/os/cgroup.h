#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "os/cgroup_place.h"

namespace keisei::os {

enum class CgroupWeight { Full, Idle };

/// What a run's leaf holds; nothing: no limit.
struct CgroupLimits {
  std::optional<Bytes> memory = std::nullopt;  ///< with it no swap, and all die where one would
  std::optional<std::uint64_t> tasks = std::nullopt;  ///< processes and threads
  std::optional<double> cpu_percent = std::nullopt;   ///< 100: one core
  CgroupWeight weight = CgroupWeight::Full;
};

/// What the kernel counted in a leaf. Absent where it does not tell.
struct CgroupAccount {
  std::optional<Bytes> memory_peak = std::nullopt;  ///< page cache and kernel memory included
  std::int64_t oom_kills = 0;
  std::int64_t refused_tasks = 0;  ///< forks that pids.max refused
  std::optional<double> cpu_seconds = std::nullopt;
  std::optional<double> throttled_seconds = std::nullopt;  ///< by cpu.max, summed over cores
};

/// The cgroup of one run, empty until something is started in it: the tree's init in the leaf
/// itself, all the rest in its child kTreeCgroup, so that the rest can be frozen and the init still
/// sees the guard go. Its destructor kills what is left in it, waits for that (1 s at most) and
/// removes it.
class CgroupLeaf {
 public:
  CgroupLeaf(CgroupLeaf&&) noexcept = default;
  CgroupLeaf& operator=(CgroupLeaf&&) = delete;
  CgroupLeaf(const CgroupLeaf&) = delete;
  CgroupLeaf& operator=(const CgroupLeaf&) = delete;
  ~CgroupLeaf();

  /// For a start inside it (CLONE_INTO_CGROUP).
  [[nodiscard]] int directory_fd() const { return directory_.get(); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// Whether cpu.max holds what was asked for.
  [[nodiscard]] bool holds_cpu() const { return holds_cpu_; }
  /// Whether cpu.idle or the least cpu.weight holds.
  [[nodiscard]] bool is_idle() const { return is_idle_; }
  /// Whether its weight can be changed: the controller cpu is here, and did not refuse yet.
  [[nodiscard]] bool can_weigh() const { return can_weigh_; }
  /// Among its siblings: this process is one, and what it starts outside leaves. Idle: cpu.idle, or
  /// the least cpu.weight before Linux 5.15. False where the kernel refused.
  bool weigh(CgroupWeight weight);
  /// The freezer stops all of kTreeCgroup at once, newborns too, and nothing inside can notice or
  /// undo it but by leaving that cgroup. A frozen process still dies by SIGKILL. False where the
  /// kernel refused.
  bool freeze();
  bool thaw();
  /// Not before Linux 5.2, nor where kTreeCgroup could not be made (cgroup.max.depth).
  [[nodiscard]] bool can_freeze() const { return static_cast<bool>(freezer_); }
  /// What is to end is not frozen, gets all the time, and more than a full
  /// weight where it was idle: dying takes a share too.
  void hurry();
  /// SIGKILL to all, forks that race with it included, in a hurry. Nothing but that hurry where
  /// the kernel has no cgroup.kill (before Linux 5.14).
  void kill();
  [[nodiscard]] bool can_kill() const;
  [[nodiscard]] CgroupAccount account() const;

 private:
  friend class CgroupTree;
  CgroupLeaf(std::filesystem::path path, UniqueFd directory)
      : path_(std::move(path)), directory_(std::move(directory)) {}
  [[nodiscard]] Result<void> limit(const CgroupLimits& limits, bool has_cpu);
  void limit_cpu(const CgroupLimits& limits);

  std::filesystem::path path_;
  UniqueFd directory_;  ///< under an exclusive lock, which says that its supervisor lives
  UniqueFd freezer_;    ///< of kTreeCgroup; open, for who is frozen must be thawed
  bool can_weigh_ = false;
  bool holds_cpu_ = false;
  bool is_idle_ = false;
};

/// A delegated subtree, divided:
///   SUBTREE/keisei-supervisor    this process, for no cgroup holds processes beside leaves
///   SUBTREE/keisei-run-PID-N     one leaf a run
/// What a supervisor that was killed left behind is removed by the next one: empty leaves of this
/// account with such a name that nobody has locked.
class CgroupTree {
 public:
  /// Moves this process, with all its threads, into the leaf where it has to. Fails where another
  /// process is in the subtree's root; then nothing has changed.
  [[nodiscard]] static Result<CgroupTree> adopt(const CgroupPlace& place);

  [[nodiscard]] Result<CgroupLeaf> make_leaf(const CgroupLimits& limits) const;
  [[nodiscard]] bool has_cpu() const { return has_cpu_; }
  /// Whether who is in a cgroup namespace whose root is a leaf can neither leave that leaf nor
  /// change its limits.
  [[nodiscard]] bool seals_leaves() const { return seals_leaves_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// How many leaves it removed.
  int sweep() const;

 private:
  CgroupTree(std::filesystem::path path, bool has_cpu, bool seals_leaves)
      : path_(std::move(path)), has_cpu_(has_cpu), seals_leaves_(seals_leaves) {}

  std::filesystem::path path_;
  bool has_cpu_ = false;
  bool seals_leaves_ = false;
};

// Pure.

/// «QUOTA PERIOD» for cpu.max; nothing for a share too small to be kept (below 0.1 %).
[[nodiscard]] std::optional<std::string> cpu_quota(double percent);
/// The number after `key` in a flat keyed file such as memory.events.
[[nodiscard]] std::optional<std::int64_t> keyed_value(std::string_view text, std::string_view key);

}  // namespace keisei::os
