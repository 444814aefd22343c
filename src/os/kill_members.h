#pragma once

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "base/unique_fd.h"
#include "base/units.h"

namespace keisei::os {

/// A process that is to die. The handle still names it when its id was given out again.
struct Condemned {
  pid_t pid = 0;
  UniqueFd handle = {};
  Bytes own = {};  ///< its private memory: what a release can give back
};

/// Shared with the thread that frees their memory, which may outlive who made it.
using CondemnedProcesses = std::shared_ptr<const std::vector<Condemned>>;

/// Those of the first 64 `members` that are below `init`, the largest first (by memory of its own);
/// the rest dies with it, as does what is not found within 1 ms: a kill does not wait for what a
/// tree has made long.
[[nodiscard]] CondemnedProcesses condemn(pid_t init, std::span<const pid_t> members);

/// Kills each by itself: the kernel kills all with their init, but only when the init gets a
/// processor. Where this account may (CAP_SYS_NICE, RLIMIT_RTPRIO) the dying run at real-time
/// priority: they have nothing left to do but to give their memory back, which takes 40 ms for 500
/// MB; 60 among busy processes, and 20 with a MemoryRelease.
void kill_all(std::span<const Condemned> condemned);

/// Whether the largest has 16 MiB or more of its own, and there is a processor to spare: less is
/// given back within a millisecond or two, and a thread to help with it costs as much.
[[nodiscard]] bool worth_a_release(std::span<const Condemned> condemned);

/// Frees the memory of dying processes beside them (process_mrelease, Linux 5.15), from a thread of
/// its own, whose processor time is added to theirs, and which goes first where they do (but
/// for more than 1 GB with two processors: nobody else would get one for long). The kernel
/// allows it from the signal until the dying gets a processor and gives its memory up, some ten
/// microseconds: so this is made before they are killed, and then asks again and again.
///   constructed: the thread runs, or 1 ms has passed -> kill_all -> signalled() -> it finds them
/// One after the other, so that only the first is surely caught: that has to be the largest. What
/// is mapped shared, files and shared memory, the kernel leaves to the dying.
///
/// Nobody waits for the thread, for the kernel may hold it as long as it holds the dying. It ends
/// by itself: tens of milliseconds after the kill, or 5 ms after its start where none comes.
class MemoryRelease {
 public:
  explicit MemoryRelease(CondemnedProcesses condemned);

  /// They were killed: what is not dying by now is not going to.
  void signalled() { state_->signalled = true; }
  /// Of how many processes it has freed memory so far.
  [[nodiscard]] int released() const { return state_->released; }
  [[nodiscard]] bool ended() const { return state_->ended; }

 private:
  struct State {
    CondemnedProcesses condemned;
    int killers_processor = -1;  // where it was made
    std::atomic<bool> running = false;
    std::atomic<bool> signalled = false;
    std::atomic<bool> ended = false;
    std::atomic<int> released = 0;
  };
  static void work(State& state);

  std::shared_ptr<State> state_;
};

}  // namespace keisei::os
