#pragma once

#include <sys/types.h>

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "os/jail.h"
#include "os/kill_members.h"
#include "os/process.h"

namespace keisei::os {

struct LaunchSpec {
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::vector<FdMapping> fds;  ///< child_fd below kHandshakeFd; 0, 1, 2 are inherited if not named
  int cgroup_fd = -1;          ///< of a cgroup's directory, in which the tree starts; -1: ours
  JailSpec jail;               ///< the payload fields are filled in from `fds`
};

struct JailSetupFailed {
  std::string step;
  int error_number;
};
struct JailExecFailed {
  int error_number;
};
struct JailMainExited {
  ExitStatus status;
};
/// By a signal, in an inherited session only. It can be told to go on.
struct JailMainStopped {
  int signal;
};
/// `JailClosed`: the init is gone and says nothing more.
struct JailClosed {};
using JailEvent =
    std::variant<JailSetupFailed, JailExecFailed, JailMainExited, JailMainStopped, JailClosed>;

/// What holds a tree.
struct JailHold {
  Containment containment = Containment::Sweep;
  /// Set of mechanism::, as the jail itself says right before the command starts; nothing where it
  /// has not come that far.
  std::optional<std::uint32_t> mechanisms = std::nullopt;
  int landlock_abi = 0;
};

/// What the whole tree used, known once it is gone.
struct TreeUsage {
  double cpu_seconds = 0;
  Bytes largest_rss;  ///< of its largest process, file-backed pages included
};

struct HeardMessage {
  JailMessage message;
  UniqueFd descriptor;  ///< that came with it
};

/// A process tree below an init of ours. It dies with this process, not with the thread that
/// launched it. Used by one thread at a time.
class Jail {
 public:
  /// Starts keisei-jail and waits (milliseconds; 10 s at most) until its init lives. The command
  /// itself may still fail to start: that comes as an event.
  [[nodiscard]] static Result<Jail> launch(LaunchSpec spec);

  Jail(Jail&&) noexcept = default;
  Jail& operator=(Jail&&) = delete;
  Jail(const Jail&) = delete;
  Jail& operator=(const Jail&) = delete;
  /// Kills a tree that was not reaped and waits for it, 5 s at most.
  ~Jail();

  [[nodiscard]] pid_t init_pid() const { return init_pid_; }
  [[nodiscard]] Containment containment() const { return hold_.containment; }
  /// Complete once receive() has been asked after the command's start.
  [[nodiscard]] const JailHold& hold() const { return hold_; }
  /// The root of the tree's own /dev/shm (an O_PATH descriptor, good for fstatfs), -1 where there
  /// is none or receive() has not seen it yet. While it is open its content stays in memory: it is
  /// closed when the tree is reaped.
  [[nodiscard]] int scratch_fd() const { return scratch_.get(); }
  /// Readable when receive() has something new; what came during launch() it has at once.
  [[nodiscard]] int control_fd() const { return control_.get(); }
  /// Readable when the whole tree is gone and reap() gives an answer.
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }

  /// Does not block.
  [[nodiscard]] std::optional<JailEvent> receive();
  void signal_main(int signal);
  /// The process group that the main process leads.
  void signal_group(int signal);
  /// Makes that group the foreground group of the session's terminal.
  void give_terminal();
  /// Every process but the init. False: not now, for want of room for one more order.
  bool signal_tree(int signal);
  /// Where it stands still by signal_tree(SIGSTOP), or because its lease is over, it goes on. After
  /// `lease` it is stopped, unless one of these two comes before; zero: never. The init sees to
  /// that, however late the caller gets a processor again: it has needed none meanwhile, and so
  /// gets one soon. False as above.
  bool let_tree_run(std::chrono::nanoseconds lease);
  /// Of a tree that has grown large: its kill can be helped from now on. Takes a thread, which
  /// sleeps until then.
  void prepare_to_kill();
  /// Ends the whole tree at once: each of its `members` (the largest first) is killed by itself,
  /// and with `help`, where it is prepared, a thread does that and frees the memory beside the
  /// dying (TreeKill). The kill waits for 2 ms of its own CPU time at most to find them, and for 2
  /// ms for that thread. No `help` at low weight: who dies there gets no processor to leave its
  /// locks with, and is held up by whoever waits for those.
  void kill_tree(std::span<const pid_t> members, bool help);
  /// Where kill_tree() did not help: an init that sweeps may have been stopped by whom it sweeps.
  void rouse_init();
  [[nodiscard]] std::optional<TreeUsage> reap();
  /// Stops caring about a tree that SIGKILL does not end: whoever takes its pidfd reaps it.
  [[nodiscard]] UniqueFd abandon() {
    scratch_.reset();
    return std::move(pidfd_);
  }

 private:
  void kill_init();
  Jail(UniqueFd control, UniqueFd pidfd, const JailMessage& started)
      : control_(std::move(control)),
        pidfd_(std::move(pidfd)),
        init_pid_(started.value),
        hold_{.containment = static_cast<Containment>(started.detail)} {}
  [[nodiscard]] std::optional<JailEvent> understand(HeardMessage heard);
  bool send(const JailOrder& order);

  UniqueFd control_;
  UniqueFd pidfd_;
  UniqueFd scratch_;
  std::unique_ptr<TreeKill> kill_;
  bool prepared_ = false;
  pid_t init_pid_;
  JailHold hold_;
  std::deque<HeardMessage> early_;
};

}  // namespace keisei::os
