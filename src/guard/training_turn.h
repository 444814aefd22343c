#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "base/result.h"
#include "base/unique_fd.h"

namespace keisei::guard {

/// Who may cost a training something: one guard at a time, first come, first served. Two would each
/// spend the whole limit, and stand in each other's hold-outs.
///
///   /proc/TRAINER/clear_refs   byte 0         locked: the turn
///                              byte 1         locked: `keisei train` evaluates beside this learner
///                              bytes from 2   locked: tickets, the lowest is next
///
/// That file is the kernel's own for the trainer's process, so that it is the same however a guard
/// came to the process, and only the trainer's user and root may open it for writing: nobody else
/// can lock it. It is never written to. The locks are fcntl(2)'s, which the kernel drops with the
/// process that holds them, however that ends, and which tell who it is; a guard that sees the
/// trainer through another mount of /proc (in a container) is not seen.
///
/// Where the trainer's process is not known, or may not be locked, the progress file itself is
/// locked with flock(2), without an order. Whoever holds the turn of a process locks its file too,
/// shared and only if that can be had at once: those wait for it, and it waits for none of them,
/// because whoever can read a file can lock it.
///
/// Nothing here blocks. A process has one turn of a training at most: what fcntl locks belongs to
/// the process. One that was forked from it has none of this.
class TrainingTurn {
 public:
  struct Training {
    int process = -1;   ///< a descriptor of the directory /proc/PID; -1: not known
    int progress = -1;  ///< of the progress file; -1: there is none
  };
  /// Fails where neither can be locked: the trainer of another user.
  [[nodiscard]] static Result<TrainingTurn> of(const Training& training);

  /// True: it is ours until this object or the process goes. False: not yet; the first call takes a
  /// place in the queue. Fails where the kernel gives no locks.
  [[nodiscard]] Result<bool> take();
  /// For the holder, now and then: a stranger who had the file when the turn came has gone perhaps,
  /// and the next one has to wait.
  void hold();

  /// The process whose turn it is, where that can be told; 0: one that is not seen from here.
  [[nodiscard]] std::optional<pid_t> holder() const;
  /// The `keisei train` that evaluates beside this training, if one does.
  [[nodiscard]] std::optional<pid_t> supervisor() const;

 private:
  TrainingTurn(UniqueFd process, UniqueFd progress)
      : process_(std::move(process)), progress_(std::move(progress)) {}

  [[nodiscard]] Result<bool> take_in_order();
  [[nodiscard]] Result<bool> draw();

  UniqueFd process_;   // clear_refs
  UniqueFd progress_;  // an open file description of our own
  std::optional<std::int64_t> ticket_;
  bool ours_ = false;      // the turn of the process
  bool has_file_ = false;  // and its progress file, shared
};

/// Says to every guard, while the descriptor is open and this process lives, that it evaluates
/// beside that learner itself. Fails where the learner is gone, is another user's, or another
/// process says so already.
[[nodiscard]] Result<UniqueFd> mark_supervised(pid_t learner);

}  // namespace keisei::guard
