#pragma once

#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "os/process_view.h"

namespace keisei::guard {

/// Why what a tree maps is not known in full.
enum class Uncounted {
  Nothing,
  TooMany,    ///< it maps more than is looked through
  NeverThere  ///< a mapping that is there at every look is not when it is asked after
};

/// Files in memory that a tree maps and that nothing else counts: no process has them open, and
/// their pages need not be in any page table.
///   mappings of each process -> the file behind each -> what it holds, or only that it is there
/// Where nobody tells what they hold, the growth of the whole host's shared memory since the run
/// began bounds it: the lowest figure so far is what others had.
class HiddenMemory {
 public:
  /// `host`: its shared memory before the run, for growth_of_host(); nothing: that is not asked.
  explicit HiddenMemory(std::optional<Bytes> host) : lowest_of_host_(host) {}

  using IsCounted = std::function<bool(const os::FileId&)>;
  /// Goes on with its round through the tree for some 2 ms, where the last look was no more than a
  /// fifth of the time since. What is `counted` elsewhere by now is left out in any case.
  void look(os::ProcessView& view, const std::vector<pid_t>& members, const IsCounted& counted,
            MonotonicTime now);
  /// What is left of its round and then a whole one, as far as 20 ms do: before somebody is ended
  /// for what the last ones found.
  void look_afresh(os::ProcessView& view, const std::vector<pid_t>& members,
                   const IsCounted& counted, MonotonicTime now);
  /// Of this round and the last; each is counted by nobody else.
  [[nodiscard]] const std::vector<os::MemoryFile>& files() const { return files_; }
  /// What they hold beyond `resident`, the pages that page tables show: never too little.
  [[nodiscard]] Bytes beyond(Bytes resident) const { return std::max(Bytes{}, sum_ - resident); }
  /// The tree's shared memory at most, where some of it stays unknown.
  [[nodiscard]] std::optional<Bytes> growth_of_host() const;
  [[nodiscard]] Uncounted uncounted() const;

 private:
  struct Round {
    std::vector<pid_t> waiting;
    std::map<os::FileId, Bytes> files;
    std::set<os::FileId> unknown;
    std::size_t asked = 0;
    bool too_many = false;
  };
  void leave_out_the_dead(const std::vector<pid_t>& members);
  /// Until the round or this thread's CPU time has come to its end.
  void go_on(os::ProcessView& view, const IsCounted& counted, MonotonicTime now,
             std::chrono::nanoseconds end);
  void end_round();
  void sum_up(const IsCounted& counted);
  void look_at_host(os::ProcessView& view, MonotonicTime now);

  Round round_;
  std::map<os::FileId, Bytes> last_;   // files of the last whole round
  std::map<os::FileId, int> unknown_;  // the same, and for how many rounds they were
  int longest_unknown_ = 0;            // of these
  bool too_many_ = false;              // in the last whole round
  std::vector<os::MemoryFile> files_;
  Bytes sum_;
  std::optional<MonotonicTime> next_look_;
  std::optional<MonotonicTime> next_look_at_host_;
  std::optional<Bytes> lowest_of_host_;
  Bytes growth_of_host_;
};

}  // namespace keisei::guard
