#pragma once

#include <cstdint>

namespace keisei::os {

// What the guard and keisei-jail say to each other. Plain memory between two programs of one build:
// a version mismatch is caught by magic and size.
//
//   guard --JailSpec (memfd)-----> keisei-jail
//   guard --JailOrder------------> init of the tree --JailMessage--> guard     (SOCK_SEQPACKET)
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
inline constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};
inline constexpr std::uint32_t kJailMagic = 0x4b4a0001;

/// How the tree is held together, best first.
enum class Containment : std::int32_t {
  PidNamespace,      ///< as root: the kernel kills all with its init
  UserPidNamespace,  ///< the same without privilege
  Sweep,             ///< no namespace: a subreaper that kills its descendants until none is left
};

/// Limits are RLIMIT_* values, kNoLimit leaves what is inherited.
struct JailSpec {
  std::uint32_t magic = kJailMagic;
  std::uint32_t size = sizeof(JailSpec);
  std::uint64_t data_bytes = kNoLimit;
  std::uint64_t file_bytes = kNoLimit;
  std::uint64_t stack_bytes = kNoLimit;
  std::uint64_t open_files = kNoLimit;
  std::uint64_t tasks = kNoLimit;  ///< RLIMIT_NPROC, used where a user namespace gives it a counter
  std::int64_t memory_bytes = 0;   ///< for the handshake
  std::int64_t timeout_ns = 0;     ///< for the handshake
  std::int32_t worker_profile = 0;
  std::int32_t allow_namespaces = 1;
  std::int32_t own_session = 1;
  std::int32_t slack = 0;      ///< SCHED_IDLE and autogroup 19
  std::int32_t in_cgroup = 0;  ///< the tree starts in the cgroup at kJailCgroupFd
  std::int32_t payload_count = 0;
  std::int32_t child_fds[kJailMaxPayload] = {};  ///< each below kHandshakeFd
};

enum class JailMessageKind : std::int32_t {
  Started,      ///< value: pid of the init, detail: Containment
  SetupFailed,  ///< value: errno, step: what failed
  ExecFailed,   ///< value: errno
  MainExited,   ///< value: wait status of the command itself
};
struct JailMessage {
  JailMessageKind kind = JailMessageKind::SetupFailed;
  std::int32_t value = 0;
  std::int32_t detail = 0;
  char step[36] = {};
};

enum class JailOrderKind : std::int32_t {
  SignalMain,
  SignalTree,  ///< everything but the init
};
struct JailOrder {
  JailOrderKind kind = JailOrderKind::SignalMain;
  std::int32_t signal = 0;
};

/// The content of the sealed memfd at kHandshakeFd.
struct HandshakeRecord {
  std::uint32_t magic = kJailMagic;
  std::uint32_t size = sizeof(HandshakeRecord);
  std::int64_t memory_bytes = 0;
  std::int64_t timeout_ns = 0;
  std::uint64_t data_bytes = kNoLimit;
  std::int32_t pid_namespace = 0;
};

}  // namespace keisei::os
