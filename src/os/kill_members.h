#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
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

inline constexpr std::size_t kMostCondemned = 64;
/// Less is given back within a millisecond or two.
inline constexpr Bytes kMuchMemory = {16 << 20};

/// Those of the first 64 `members` that are below `init`, the largest first (by memory of its own);
/// the rest dies with it, as does what is not found within 2 ms of CPU time: a kill does not wait
/// for what a tree has made long.
[[nodiscard]] std::vector<Condemned> condemn(pid_t init, std::span<const pid_t> members);

/// Kills each by itself: the kernel kills all with their init, but only when the init gets a
/// processor. Where this account may (CAP_SYS_NICE, RLIMIT_RTPRIO) the dying run at real-time
/// priority: they have nothing left to do but to give their memory back, which takes 40 ms for 500
/// MB; 60 among busy processes, and 20 with a TreeKill.
void kill_all(std::span<const Condemned> condemned);

/// Lets the dying go first, where this account may: after their signal only.
void hurry_dying(std::span<const Condemned> condemned);

/// Whether a TreeKill helps anybody here: with one processor its thread would stand in the way, and
/// a kernel may have no process_mrelease, or not allow it.
[[nodiscard]] bool can_help_to_die();
/// Whether the largest has much memory of its own.
[[nodiscard]] bool worth_helping(std::span<const Condemned> condemned);

/// Kills a large tree from a thread of its own, which then frees the memory of its processes beside
/// them (process_mrelease, Linux 5.15), so that two processors do it.
///   constructed: the thread sleeps -> kill(): it wakes up, kills, frees -> signalled()
///
/// Who decides on a kill has used the processor for it already, and beside busy processes is often
/// put aside for milliseconds in the middle of it; who has slept, and takes short slices, is not.
/// And the kernel allows the freeing only from the signal until the dying gets a processor and
/// gives its memory up, some ten microseconds: so who frees is who kills. The largest is killed
/// last and asked about at once, and the first threads of all are put on other processors than this
/// one. What is mapped shared, files and shared memory, the kernel leaves to the dying.
///
/// Where the dying may go first (kill_all) the thread does too; of more than 1 GB with two
/// processors neither does, for no one else would get one for long.
///
/// Nobody waits for the thread's end, for the kernel may hold it as long as it holds the dying.
class TreeKill {
 public:
  TreeKill();
  /// A thread that has nothing to do ends.
  ~TreeKill();
  TreeKill(const TreeKill&) = delete;
  TreeKill& operator=(const TreeKill&) = delete;

  /// Its thread sleeps, and can be woken: kill() is of use.
  [[nodiscard]] bool ready() const {
    return state_->ready && !state_->ended && state_->order == Order::None;
  }
  /// Once. The `init` is killed first, of those below it the first last.
  void kill(Condemned init, std::vector<Condemned> condemned);
  /// After kill(): whether all of these have been sent SIGKILL. Waits 2 ms at most, and then the
  /// caller has to: the thread does it too, once it gets a processor.
  [[nodiscard]] bool signalled() const;
  /// After kill(): whom it is about.
  [[nodiscard]] std::span<const Condemned> condemned() const { return state_->condemned; }
  /// After signalled(): whether these may go first.
  [[nodiscard]] bool goes_first() const { return state_->goes_first; }
  /// Of how many processes it has freed memory so far.
  [[nodiscard]] int released() const { return state_->released; }
  [[nodiscard]] bool ended() const { return state_->ended; }

 private:
  enum class Order : int { None, Kill, Dismiss };
  struct State {
    Condemned init;  // neither is changed after the order
    std::vector<Condemned> condemned;
    std::atomic<Order> order = Order::None;
    std::atomic<bool> ready = false;
    std::atomic<bool> goes_first = false;
    std::atomic<bool> signalled = false;
    std::atomic<bool> ended = false;
    std::atomic<int> released = 0;
  };
  static void work(State& state);
  static void kill_and_release(State& state);
  void order(Order what);

  std::shared_ptr<State> state_;  // the thread may outlive its maker
};

}  // namespace keisei::os
