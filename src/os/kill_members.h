#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace keisei::os {

/// A process that is to die. The handle still names it when its id was given out again.
struct Condemned {
  pid_t pid = 0;
  UniqueFd handle = {};
  std::int64_t pages = 0;  ///< resident
};

/// Those of the first 64 `members` that are below `init`, the largest first; the rest dies with it.
[[nodiscard]] std::vector<Condemned> condemn(pid_t init, std::span<const pid_t> members);

/// Kills each by itself: the kernel kills all with their init, but only when the init gets a
/// processor. Where this account may (CAP_SYS_NICE) the dying run at real-time priority: they have
/// nothing left to do but to give their memory back, which takes 40 ms for 500 MB and half as much
/// again among busy processes.
void kill_all(std::span<const Condemned> condemned);

/// Whether the largest holds 16 MiB or more: less is given back within a millisecond or two, and a
/// thread to help with it costs as much.
[[nodiscard]] bool worth_a_release(std::span<const Condemned> condemned);

/// Frees the memory of dying processes beside them (process_mrelease, Linux 5.15), from a thread of
/// its own, whose processor time is added to theirs. The kernel allows it from the signal until the
/// dying gets a processor and gives its memory up, some ten microseconds: so this is made before
/// they are killed, and then asks again and again.
///   constructed: the thread runs, or 1 ms has passed -> kill_all -> the thread finds them dying
/// One after the other, so that only the first is surely caught: that has to be the largest.
class MemoryRelease {
 public:
  /// `condemned` stays where it is for as long as this lives.
  explicit MemoryRelease(std::span<const Condemned> condemned);

  /// Of how many processes it has freed memory so far. Final once wait() has returned.
  [[nodiscard]] int released() const { return state_->released; }
  /// Until it has nothing left to do: tens of milliseconds after the kill, and 5 ms for each
  /// process that was not killed.
  void wait();

 private:
  struct State {
    std::atomic<bool> running = false;
    std::atomic<int> released = 0;
  };
  std::unique_ptr<State> state_ = std::make_unique<State>();
  std::jthread thread_;  // none where no thread was to be had
};

}  // namespace keisei::os
