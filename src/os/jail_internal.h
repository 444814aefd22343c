#pragma once

#include <signal.h>
#include <sys/types.h>

#include "os/jail.h"

// The parts of the program keisei-jail. It is static, single-threaded and links nothing of ours.
namespace keisei::os::jail {

struct Setup {
  const JailSpec& spec;
  Containment containment;
  char** argv;             ///< of the command
  std::uint32_t held = 0;  ///< set of mechanism:: that the init has put in force
  sigset_t signals = {};   ///< blocked in the command; all are until it has its session
  pid_t guard = 0;         ///< as its starter saw it
};

/// Tells the guard which step failed with which errno and exits 125.
[[noreturn]] void die(const char* step);

/// The inner half: limits itself and becomes the command. Never returns.
[[noreturn]] void become_command(const Setup& setup);

/// Makes `group` the foreground group of this session's terminal. Where there is no terminal any
/// more, nothing happens. The caller blocks SIGTTOU.
void take_terminal(pid_t group);

/// Each of these returns the mechanisms that hold from now on; what the kernel refuses, and what
/// the spec does without, is not among them.
///
/// Own mount, network, IPC and UTS namespaces. Tells the guard of the scratch.
[[nodiscard]] std::uint32_t enter_namespaces(const Setup& setup);
/// For a command that is no worker, a mount namespace: a /proc that shows its tree under the tree's
/// own numbers, with what was mounted inside the old one; read-only cgroups where it is in one. All
/// other mounts are handed on as they are: where the host shares them, what is mounted there is
/// seen on both sides.
[[nodiscard]] std::uint32_t enter_command_mounts(const Setup& setup);
/// Over the one that is there, for whoever has a mount namespace of his own. `flags`: of mount(2),
/// beside nosuid, nodev and noexec.
[[nodiscard]] bool mount_own_proc(unsigned long flags, const char* options);
/// mount_setattr(2): of the mount at `path`, or with AT_RECURSIVE of all below it too.
bool change_mounts(const char* path, unsigned flags, std::uint64_t set, std::uint64_t clear);
/// Needs no_new_privs. `held`: what enter_namespaces() returned.
struct LandlockHold {
  std::uint32_t mechanisms = 0;
  int abi = 0;
};
[[nodiscard]] LandlockHold enter_landlock(const Setup& setup, std::uint32_t held);
/// Gives up all capabilities and shuts the system calls of the list. Needs no_new_privs.
[[nodiscard]] std::uint32_t enter_worker_policy(const Setup& setup);

/// kernel.pid_max as of the namespace where it is opened, wherever it is read later.
[[nodiscard]] int open_task_ceiling_of_host();
/// In the init of a PID namespace: gives it room for `tasks` at once. False where the kernel has no
/// pid_max per namespace; the host's is left as it was.
[[nodiscard]] bool set_task_ceiling(int host, std::uint64_t tasks);

/// Every process below this one, by parent links; sends each `signal`. Returns how many there were.
int signal_descendants(int signal);

}  // namespace keisei::os::jail
