#pragma once

#include <cstdint>

namespace keisei::os {

// What the guard and keisei-jail say to each other. Plain memory between two programs of one build:
// a version mismatch is caught by magic and size.
//
//   guard --JailSpec (memfd)-----> keisei-jail
//   guard --JailOrder------------> init of the tree --JailMessage--> guard     (SOCK_SEQPACKET)
//                                  command before its exec --------> guard
//
// The control socket is the lifeline as well: when the guard's end closes, for whatever reason, the
// tree dies.

// Fixed descriptors in keisei-jail, above every number that a command may ask for.
inline constexpr int kHandshakeFd = 200;  // stays open in the command
inline constexpr int kJailControlFd = 201;
inline constexpr int kJailSpecFd = 202;
inline constexpr int kJailFirstPayloadFd = 203;  // payload i arrives at kJailFirstPayloadFd + i
inline constexpr int kJailMaxPayload = 24;
inline constexpr int kJailCgroupFd = kJailFirstPayloadFd + kJailMaxPayload;  // a directory
inline constexpr const char* kTreeCgroup = "tree";  // in there: for all but the init
inline constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};
inline constexpr std::uint32_t kJailMagic = 0x4b4a0002;

/// How the tree is held together, best first.
enum class Containment : std::int32_t {
  PidNamespace,      ///< as root: the kernel kills all with its init
  UserPidNamespace,  ///< the same without privilege
  Sweep,             ///< no namespace: a subreaper that kills its descendants until none is left
};

/// What a jail can do beside its containment. Bits of a set: in a spec what it must do without, in
/// a message what really holds.
namespace mechanism {
inline constexpr std::uint32_t kUserNamespace = 1U << 0;
inline constexpr std::uint32_t kReadOnlyFiles = 1U
                                                << 1;  ///< own mount namespace, all of it read-only
inline constexpr std::uint32_t kScratch = 1U << 2;     ///< own tmpfs over /dev/shm
inline constexpr std::uint32_t kOwnProc = 1U << 3;     ///< /proc shows this tree alone
inline constexpr std::uint32_t kNetworkNamespace = 1U << 4;
inline constexpr std::uint32_t kIpcNamespace = 1U << 5;
inline constexpr std::uint32_t kUtsNamespace = 1U << 6;
inline constexpr std::uint32_t kLandlockFiles = 1U << 7;    ///< no write outside the scratch
inline constexpr std::uint32_t kLandlockNetwork = 1U << 8;  ///< no TCP
inline constexpr std::uint32_t kLandlockScope = 1U << 9;    ///< no signal to the outside
inline constexpr std::uint32_t kSeccomp = 1U << 10;
inline constexpr std::uint32_t kTaskLimit = 1U << 11;    ///< RLIMIT_NPROC with a counter of its own
inline constexpr std::uint32_t kTaskCeiling = 1U << 12;  ///< pid_max of the namespace
inline constexpr std::uint32_t kIdleClass = 1U << 13;    ///< SCHED_IDLE
inline constexpr std::uint32_t kIdleSession = 1U << 14;  ///< autogroup 19
inline constexpr std::uint32_t kTreeInCgroup = 1U << 15;  ///< all but the init are in kTreeCgroup
inline constexpr std::uint32_t kCgroupNamespace = 1U << 16;  ///< its root is the leaf of the run
inline constexpr std::uint32_t kReadOnlyCgroups = 1U << 17;  ///< in its own mounts
inline constexpr std::uint32_t kLandlock = kLandlockFiles | kLandlockNetwork | kLandlockScope;
}  // namespace mechanism

/// Where the command stands towards the terminal. In all three it leads a process group of its own.
enum class JailSession : std::int32_t {
  Own,                  ///< a new session without a terminal
  InheritedBackground,  ///< the guard's session; TakeTerminal gives it the terminal
  InheritedForeground,  ///< the guard's session, with the terminal from its first instruction on
};

/// Limits are RLIMIT_* values, kNoLimit leaves what is inherited.
struct JailSpec {
  std::uint32_t magic = kJailMagic;
  std::uint32_t size = sizeof(JailSpec);
  std::uint64_t data_bytes = kNoLimit;
  std::uint64_t file_bytes = kNoLimit;
  std::uint64_t stack_bytes = kNoLimit;
  std::uint64_t open_files = kNoLimit;
  std::uint64_t tasks = kNoLimit;   ///< threads count; held where the tree has a counter of its own
  std::uint64_t scratch_bytes = 0;  ///< of a worker's own /dev/shm; 0: none
  std::uint32_t without = 0;        ///< of mechanism::
  std::int64_t memory_bytes = 0;    ///< for the handshake
  std::int64_t timeout_ns = 0;      ///< for the handshake
  std::int32_t worker_profile = 0;
  std::int32_t allow_namespaces = 1;
  JailSession session = JailSession::Own;
  std::int32_t slack = 0;      ///< SCHED_IDLE and autogroup 19
  std::int32_t in_cgroup = 0;  ///< the init starts in the cgroup at kJailCgroupFd
  std::int32_t payload_count = 0;
  std::int32_t child_fds[kJailMaxPayload] = {};  ///< each below kHandshakeFd
};

enum class JailMessageKind : std::int32_t {
  Started,      ///< value: pid of the init, detail: Containment
  Scratch,      ///< comes with a descriptor of the scratch's root
  Holds,        ///< value: a set of mechanism::, detail: Landlock's ABI. The exec follows
  SetupFailed,  ///< value: errno, step: what failed
  ExecFailed,   ///< value: errno
  MainExited,   ///< value: wait status of the command itself
  MainStopped,  ///< value: the signal that stopped it; only in an inherited session
};
struct JailMessage {
  JailMessageKind kind = JailMessageKind::SetupFailed;
  std::int32_t value = 0;
  std::int32_t detail = 0;
  char step[36] = {};
};

enum class JailOrderKind : std::int32_t {
  SignalMain,
  SignalTree,    ///< everything but the init
  LetTreeRun,    ///< SIGCONT where it stands still by SignalTree or by the end of a lease
  SignalGroup,   ///< the process group that the command leads
  TakeTerminal,  ///< makes that group the foreground group of the session's terminal
};
struct JailOrder {
  JailOrderKind kind = JailOrderKind::SignalMain;
  std::int32_t signal = 0;
  std::int64_t lease_ns = 0;  ///< LetTreeRun: for so long; 0: for good
};

/// The content of the sealed memfd at kHandshakeFd.
struct HandshakeRecord {
  std::uint32_t magic = kJailMagic;
  std::uint32_t size = sizeof(HandshakeRecord);
  std::int64_t memory_bytes = 0;
  std::int64_t timeout_ns = 0;
  std::uint64_t data_bytes = kNoLimit;
  std::int32_t pid_namespace = 0;
  std::uint32_t mechanisms = 0;  ///< that hold
};

}  // namespace keisei::os
