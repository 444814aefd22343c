#include "os/kill_members.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/clock.h"
#include "os/blocked_signals.h"
#include "os/procfs.h"

namespace keisei::os {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMostMembers = 64;  // the rest dies with the init
constexpr int kMostThreads = 64;          // whichever of them ends last frees the memory
constexpr int kDeepest = 256;             // generations below the init
constexpr long kProcessMrelease = 448;    // the number is the same on every architecture
constexpr Bytes kMuchMemory = {16 << 20};
constexpr Bytes kBriefly = megabytes(1000);  // given back in some 50 ms by two processors
constexpr auto kSearchPatience = 1ms;        // of a kill for what is to be killed
constexpr auto kStartPatience = 1ms;         // of a kill for the thread that frees memory
constexpr auto kGreed = 1ms;                 // before that thread lets others have its processor
constexpr auto kPatience = 5ms;              // of that thread for the kill

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

/// «stat» would take two thirds of the time (7 us of 11), but counts the pages of files too.
std::optional<std::string> status_of(pid_t pid) {
  return read_proc(fmt::format("/proc/{}/status", pid));
}

std::optional<pid_t> parent_of(pid_t pid) {
  const std::optional<std::string> status = status_of(pid);
  return status ? parse_parent(*status) : std::nullopt;
}

/// Each process is asked once, however many are below it.
class Ancestry {
 public:
  explicit Ancestry(MonotonicTime limit) : limit_(limit) {}

  /// False too where the time is over.
  bool leads(pid_t pid, pid_t parent, pid_t init) {
    parents_[pid] = parent;
    for (int generation = 0; generation < kDeepest && parent > 1; ++generation) {
      if (parent == init) {
        return true;
      }
      if (MonotonicClock::now() > limit_) {
        return false;
      }
      parent = above(parent);
    }
    return false;
  }

 private:
  pid_t above(pid_t pid) {
    const auto [entry, is_new] = parents_.try_emplace(pid, 0);
    if (is_new) {
      entry->second = parent_of(pid).value_or(0);
    }
    return entry->second;
  }

  MonotonicTime limit_;
  std::unordered_map<pid_t, pid_t> parents_;
};

/// False where this account may not.
bool hurry(pid_t thread) {
  const sched_param lowest = {.sched_priority = 1};
  return sched_setscheduler(thread, SCHED_RR, &lowest) == 0;
}

/// For this thread: beside who goes first nobody else finds anything to free. On another processor
/// than the killer's, where it would hold up the kill; where that cannot be, or this account may
/// not go first, nothing is changed, nor where the last two processors would be gone for long.
bool hurry_beside(int killers_processor, Bytes dying) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (killers_processor < 0 || killers_processor >= CPU_SETSIZE ||
      sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
    return false;
  }
  CPU_CLR(static_cast<std::size_t>(killers_processor), &allowed);
  if (CPU_COUNT(&allowed) == 0 || (CPU_COUNT(&allowed) == 1 && dying > kBriefly) || !hurry(0)) {
    return false;
  }
  if (sched_setaffinity(0, sizeof allowed, &allowed) != 0) {
    const sched_param none = {.sched_priority = 0};
    sched_setscheduler(0, SCHED_OTHER, &none);
    return false;
  }
  return true;
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

/// A thread that is made meanwhile need not wait for the turn of who keeps its processor busy: a
/// shorter slice than theirs comes first, for no larger share (Linux 6.12; before, it does
/// nothing).
class ShortSlice {
 public:
  ShortSlice() {
    if (syscall(SYS_sched_getattr, 0, &before_, sizeof before_, 0U) != 0 ||
        before_.policy != SCHED_OTHER) {
      return;
    }
    SchedulingAttributes shorter = before_;
    shorter.runtime = kShortestSlice;
    changed_ = syscall(SYS_sched_setattr, 0, &shorter, 0U) == 0;
  }
  ~ShortSlice() {
    if (changed_) {
      before_.runtime = 0;  // the kernel's own default, which it does not tell from a wish for it
      syscall(SYS_sched_setattr, 0, &before_, 0U);
    }
  }
  ShortSlice(const ShortSlice&) = delete;
  ShortSlice& operator=(const ShortSlice&) = delete;

 private:
  struct SchedulingAttributes {  // sched_setattr(2), its first version
    std::uint32_t size = sizeof(SchedulingAttributes);
    std::uint32_t policy = 0;
    std::uint64_t flags = 0;
    std::int32_t nice = 0;
    std::uint32_t priority = 0;
    std::uint64_t runtime = 0;  // the slice in ns, for SCHED_OTHER
    std::uint64_t deadline = 0;
    std::uint64_t period = 0;
  };
  static constexpr std::uint64_t kShortestSlice = 100'000;  // the kernel takes no less

  SchedulingAttributes before_;
  bool changed_ = false;
};

/// More than one: who frees memory beside the guard must not stand in its way.
bool has_processors() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  return sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) > 1;
}

}  // namespace

CondemnedProcesses condemn(pid_t init, std::span<const pid_t> members) {
  const MonotonicTime limit = MonotonicClock::now() + kSearchPatience;
  Ancestry ancestry(limit);
  std::vector<Condemned> condemned;
  for (const pid_t pid : members.first(std::min(members.size(), kMostMembers))) {
    UniqueFd handle(static_cast<int>(syscall(SYS_pidfd_open, pid, 0U)));
    // In this order: what the handle names is then known to have been below the init.
    const std::optional<std::string> status = handle ? status_of(pid) : std::nullopt;
    const std::optional<pid_t> parent = status ? parse_parent(*status) : std::nullopt;
    if (parent && ancestry.leads(pid, *parent, init)) {
      const Bytes own = parse_status(*status).value_or(ProcessMemory{}).anonymous;
      condemned.push_back({.pid = pid, .handle = std::move(handle), .own = own});
    }
    if (MonotonicClock::now() > limit) {
      break;
    }
  }
  std::ranges::stable_sort(condemned, std::greater<>(), &Condemned::own);
  return std::make_shared<const std::vector<Condemned>>(std::move(condemned));
}

void kill_all(std::span<const Condemned> condemned) {
  std::array<pid_t, kMostMembers> killed = {};  // in a kill no memory is asked for
  std::size_t count = 0;
  for (const Condemned& process : condemned) {
    if (syscall(SYS_pidfd_send_signal, process.handle.get(), SIGKILL, nullptr, 0U) == 0 &&
        count < killed.size()) {
      killed[count++] = process.pid;
    }
  }
  // Only what has to die at once may go first: threads that still compute would take every core,
  // also from who is to kill them, until the kernel throttles them after most of a second. (The id
  // stays theirs for so long: process ids go round before one is given out again.) After all
  // signals, for the first that goes first may take this thread's processor.
  for (const pid_t pid : std::span(killed).first(count)) {
    hurry_all(pid);
  }
}

bool worth_a_release(std::span<const Condemned> condemned) {
  return !condemned.empty() && condemned.front().own >= kMuchMemory && has_processors();
}

MemoryRelease::MemoryRelease(CondemnedProcesses condemned) : state_(std::make_shared<State>()) {
  state_->condemned = std::move(condemned);
  state_->killers_processor = sched_getcpu();
  try {
    const ShortSlice slice;
    const BlockedSignals none_for_it = BlockedSignals::all();  // those are for who listens
    std::thread([state = state_] { work(*state); }).detach();
  } catch (const std::system_error&) {
    state_->ended = true;
    return;  // no thread is left: they free it alone
  }
  const MonotonicTime limit = MonotonicClock::now() + kStartPatience;
  while (!state_->running && MonotonicClock::now() < limit) {
    // To yield would be to stand behind whoever keeps the processors busy.
  }
}

/// EINVAL is the answer for one that is not dying, or shares its memory with a living one.
void MemoryRelease::work(State& state) {
  Bytes dying;
  for (const Condemned& process : *state.condemned) {
    dying = dying + process.own;
  }
  const bool hurried = hurry_beside(state.killers_processor, dying);
  state.running = true;
  const MonotonicTime begin = MonotonicClock::now();
  for (const Condemned& process : *state.condemned) {
    while (true) {
      const bool last = state.signalled;  // before the question: then its answer stays
      if (syscall(kProcessMrelease, process.handle.get(), 0U) == 0) {
        ++state.released;
        break;
      }
      const auto waited = MonotonicClock::now() - begin;
      if (errno != EINVAL || last || waited > kPatience) {
        break;
      }
      if (waited > kGreed && !hurried) {  // it would give way to the dying
        sched_yield();
      }
    }
  }
  state.ended = true;
}

}  // namespace keisei::os
