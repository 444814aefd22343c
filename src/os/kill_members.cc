#include "os/kill_members.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include "os/procfs.h"

namespace keisei::os {
namespace {

constexpr std::size_t kMostMembers = 64;  // the rest dies with the init
constexpr int kMostThreads = 64;          // whichever of them ends last frees the memory
constexpr int kDeepest = 256;             // generations below the init
constexpr long kProcessMrelease = 448;    // the number is the same on every architecture
constexpr double kAnyTickRate = 100;      // only the parent is read here

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

bool descends(pid_t pid, pid_t init) {
  for (int generation = 0; generation < kDeepest && pid > 1; ++generation) {
    const std::optional<std::string> text = read_proc(fmt::format("/proc/{}/stat", pid));
    const std::optional<ProcessStat> stat = text ? parse_stat(*text, kAnyTickRate) : std::nullopt;
    if (!stat) {
      return false;
    }
    if (stat->parent == init) {
      return true;
    }
    pid = stat->parent;
  }
  return false;
}

/// False where this account may not.
bool hurry(pid_t thread) {
  const sched_param lowest = {.sched_priority = 1};
  return sched_setscheduler(thread, SCHED_RR, &lowest) == 0;
}

void hurry_all(pid_t pid) {
  if (!hurry(pid)) {
    return;
  }
  const std::unique_ptr<DIR, CloseDirectory> threads(
      opendir(fmt::format("/proc/{}/task", pid).c_str()));
  int left = kMostThreads;
  while (const dirent* entry = threads && left > 0 ? readdir(threads.get()) : nullptr) {
    const auto thread = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
    if (thread > 0 && thread != pid) {
      hurry(thread);
      --left;
    }
  }
}

}  // namespace

std::vector<UniqueFd> kill_members(pid_t init, std::span<const pid_t> members) {
  std::vector<UniqueFd> killed;
  for (const pid_t pid : members.first(std::min(members.size(), kMostMembers))) {
    UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0U)));
    // In this order: what the handle names is then known to have been below the init.
    if (!process || !descends(pid, init)) {
      continue;
    }
    // Only what has to die at once may go first: threads that still compute would take every core,
    // also from who is to kill them, until the kernel throttles them after most of a second. (The
    // id stays theirs for so long: process ids go round before one is given out again.)
    if (syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0U) == 0) {
      hurry_all(pid);
      killed.push_back(std::move(process));
    }
  }
  return killed;
}

void release_memory(std::span<const UniqueFd> dying) {
  for (const UniqueFd& process : dying) {
    // One that is gone already, or shares its memory with a living one, has nothing to give.
    (void)syscall(kProcessMrelease, process.get(), 0U);
  }
}

}  // namespace keisei::os
