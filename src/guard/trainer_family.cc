#include "guard/trainer_family.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "os/procfs.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr auto kBetweenLooks = 1s;
constexpr std::size_t kMostMembers = 64;  // a system call each at every look of the governor

std::optional<std::uint64_t> start_of(pid_t pid) {
  const auto text = os::read_proc(fmt::format("/proc/{}/stat", pid));
  const auto stat = text ? os::parse_stat(*text, 1) : std::nullopt;
  return stat ? std::optional(stat->start_ticks) : std::nullopt;
}

/// Another guard that the trainer has started: what runs below it is no training.
bool is_guard(pid_t pid) {
  return os::read_proc(fmt::format("/proc/{}/comm", pid)).value_or("") == "keisei\n";
}

}  // namespace

TrainerFamily::TrainerFamily(Roots roots) : roots_(roots) {
  KEISEI_CHECK(roots.trainer != roots.guard, "a guard is no trainer");
  add(roots_.trainer);
}

void TrainerFamily::add(pid_t pid) {
  const std::optional<std::uint64_t> start = start_of(pid);
  const std::optional<double> cpu = os::cpu_seconds_of(pid);
  if (start && cpu) {
    members_.push_back({.pid = pid, .start_ticks = *start, .last = *cpu});
  }
}

/// Those found before stay while they live; where the trainer itself is gone nobody is looked for.
void TrainerFamily::look_around() {
  std::vector<Member> known = std::exchange(members_, {});
  const auto take = [&](pid_t pid) {
    const auto found = std::ranges::find(known, pid, &Member::pid);
    if (found != known.end() && start_of(pid) == found->start_ticks) {
      members_.push_back(*found);
    } else if (pid != roots_.guard && !is_guard(pid)) {
      add(pid);
    }
  };
  if (!known.empty() && start_of(roots_.trainer) == known.front().start_ticks) {
    members_.push_back(known.front());
  }
  for (std::size_t i = 0; i < members_.size(); ++i) {
    for (const pid_t child : os::children_of(members_[i].pid)) {
      if (members_.size() < kMostMembers) {
        take(child);
      }
    }
  }
}

double TrainerFamily::cpu_seconds(MonotonicTime now) {
  for (Member& member : members_) {
    if (const std::optional<double> cpu = os::cpu_seconds_of(member.pid)) {
      used_ += std::max(0.0, *cpu - member.last);
      member.last = *cpu;
    }
  }
  if (now >= next_look_) {
    look_around();
    next_look_ = now + kBetweenLooks;
  }
  return used_;
}

std::vector<pid_t> TrainerFamily::members() const {
  std::vector<pid_t> pids;
  pids.reserve(members_.size());
  for (const Member& member : members_) {
    pids.push_back(member.pid);
  }
  return pids;
}

}  // namespace keisei::guard
