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
#include <new>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/thread_cpu_time.h"
#include "os/blocked_signals.h"
#include "os/procfs.h"

namespace keisei::os {
namespace {

using namespace std::chrono_literals;

constexpr int kMostThreads = 64;             // whichever of them ends last frees the memory
constexpr int kDeepest = 256;                // generations below the init
constexpr long kProcessMrelease = 448;       // the number is the same on every architecture
constexpr Bytes kBriefly = megabytes(1000);  // given back in some 50 ms by two processors
constexpr auto kSearchPatience = 2ms;        // of a kill for what is to be killed
constexpr auto kPatience = 2ms;              // of who decides for the thread that kills

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
  /// `limit`: of this thread's CPU time.
  explicit Ancestry(std::chrono::nanoseconds limit) : limit_(limit) {}

  /// False too where the time is over.
  bool leads(pid_t pid, pid_t parent, pid_t init) {
    parents_.emplace_back(pid, parent);
    for (int generation = 0; generation < kDeepest && parent > 1; ++generation) {
      if (parent == init) {
        return true;
      }
      if (thread_cpu_time() > limit_) {
        return false;
      }
      parent = above(parent);
    }
    return false;
  }

 private:
  pid_t above(pid_t pid) {
    const auto known = std::ranges::find(parents_, pid, &std::pair<pid_t, pid_t>::first);
    if (known != parents_.end()) {
      return known->second;
    }
    return parents_.emplace_back(pid, parent_of(pid).value_or(0)).second;
  }

  std::chrono::nanoseconds limit_;
  std::vector<std::pair<pid_t, pid_t>> parents_;  // of so few no hash is faster
};

/// That this thread may use.
int processors() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  return sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 2;
}

/// False where this account may not.
bool hurry(pid_t thread) {
  const sched_param lowest = {.sched_priority = 1};
  return sched_setscheduler(thread, SCHED_RR, &lowest) == 0;
}

/// This thread, which frees the memory of the dying: whether these may go first too.
bool hurry_beside(Bytes dying) { return (processors() > 2 || dying <= kBriefly) && hurry(0); }

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

/// This thread need not wait for the turn of who keeps its processor busy: a shorter slice than
/// theirs comes first, for no larger share (Linux 6.12; before, it does nothing).
void take_short_slices() {
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
  constexpr std::uint64_t kShortestSlice = 100'000;  // the kernel takes no less
  SchedulingAttributes attributes;
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0U) == 0 &&
      attributes.policy == SCHED_OTHER) {
    attributes.runtime = kShortestSlice;
    syscall(SYS_sched_setattr, 0, &attributes, 0U);
  }
}

bool send_kill(const Condemned& process) {
  return syscall(SYS_pidfd_send_signal, process.handle.get(), SIGKILL, nullptr, 0U) == 0;
}

/// While it lives, or is not yet reaped, its id is nobody else's.
bool is_there(const Condemned& process) {
  return syscall(SYS_pidfd_send_signal, process.handle.get(), 0, nullptr, 0U) == 0;
}

/// Its first thread goes to another processor than `here`: who wakes up, to die, would take this
/// one from whom it wakes. Nothing where it may be nowhere else.
void put_elsewhere(const Condemned& process, int here) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (here < 0 || here >= CPU_SETSIZE || !is_there(process) ||
      sched_getaffinity(process.pid, sizeof allowed, &allowed) != 0) {
    return;
  }
  CPU_CLR(static_cast<std::size_t>(here), &allowed);
  if (CPU_COUNT(&allowed) > 0) {
    sched_setaffinity(process.pid, sizeof allowed, &allowed);
  }
}

bool release_memory(const Condemned& process) {
  return syscall(kProcessMrelease, process.handle.get(), 0U) == 0;
}

}  // namespace

std::vector<Condemned> condemn(pid_t init, std::span<const pid_t> members) {
  const std::chrono::nanoseconds limit = thread_cpu_time() + kSearchPatience;
  Ancestry ancestry(limit);
  std::vector<Condemned> condemned;
  for (const pid_t pid : members.first(std::min(members.size(), kMostCondemned))) {
    UniqueFd handle(static_cast<int>(syscall(SYS_pidfd_open, pid, 0U)));
    // In this order: what the handle names is then known to have been below the init.
    const std::optional<std::string> status = handle ? status_of(pid) : std::nullopt;
    const std::optional<pid_t> parent = status ? parse_parent(*status) : std::nullopt;
    if (parent && ancestry.leads(pid, *parent, init)) {
      const Bytes own = parse_status(*status).value_or(ProcessMemory{}).anonymous;
      condemned.push_back({.pid = pid, .handle = std::move(handle), .own = own});
    }
    if (thread_cpu_time() > limit) {
      break;
    }
  }
  std::ranges::stable_sort(condemned, std::greater<>(), &Condemned::own);
  return condemned;
}

void kill_all(std::span<const Condemned> condemned) {
  for (const Condemned& process : condemned) {
    send_kill(process);
  }
  hurry_dying(condemned);  // after all signals: the first that goes first may take this processor
}

// Only what has to die at once may go first: threads that still compute would take every core, also
// from who is to kill them, until the kernel throttles them after most of a second, and what they
// fork would go first too.
void hurry_dying(std::span<const Condemned> condemned) {
  for (const Condemned& process : condemned) {
    if (is_there(process)) {
      hurry_all(process.pid);
    }
  }
}

bool can_help_to_die() {
  return processors() > 1 && syscall(kProcessMrelease, -1, 0U) != 0 && errno == EBADF;
}

bool worth_helping(std::span<const Condemned> condemned) {
  return !condemned.empty() && condemned.front().own >= kMuchMemory;
}

TreeKill::TreeKill() : state_(std::make_shared<State>()) {
  try {
    const BlockedSignals none_for_it = BlockedSignals::all();  // those are for who listens
    std::thread([state = state_] { work(*state); }).detach();
  } catch (const std::system_error&) {
    state_->ended = true;  // no thread is left
  }
}

TreeKill::~TreeKill() { order(Order::Dismiss); }

void TreeKill::order(Order what) {
  Order none = Order::None;
  if (state_->order.compare_exchange_strong(none, what)) {
    state_->order.notify_one();
  }
}

void TreeKill::kill(Condemned init, std::vector<Condemned> condemned) {
  KEISEI_CHECK(state_->order == Order::None, "a tree is killed twice");  // its thread reads these
  state_->init = std::move(init);
  state_->condemned = std::move(condemned);
  order(Order::Kill);
}

bool TreeKill::signalled() const {
  const MonotonicTime limit = MonotonicClock::now() + kPatience;
  while (!state_->signalled && !state_->ended && MonotonicClock::now() < limit) {
    // To yield would be to stand behind whoever keeps the processors busy.
  }
  return state_->signalled;
}

void TreeKill::work(State& state) {
  take_short_slices();
  state.ready = true;
  state.order.wait(Order::None);
  if (state.order == Order::Kill) {
    kill_and_release(state);
  }
  state.ended = true;
}

/// Asks for no memory, and waits for nobody.
void TreeKill::kill_and_release(State& state) {
  const int here = sched_getcpu();
  put_elsewhere(state.init, here);
  Bytes dying;
  for (const Condemned& process : state.condemned) {
    put_elsewhere(process, here);
    dying = dying + process.own;
  }
  state.goes_first = hurry_beside(dying);
  release_memory(state.init);  // refused: it lives; but then the way is in the caches
  send_kill(state.init);       // first, so that it reports none of the deaths that follow
  for (const Condemned& process : state.condemned | std::views::reverse) {
    send_kill(process);
  }
  state.signalled = true;
  for (const Condemned& process : state.condemned) {
    state.released += release_memory(process) ? 1 : 0;
  }
}

}  // namespace keisei::os
