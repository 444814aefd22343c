#include "os/handshake.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/jail.h"

namespace keisei::os {
namespace {

constexpr int kSeals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;

Result<HandshakeRecord> read_record() {
  HandshakeRecord record;
  if (fcntl(kHandshakeFd, F_GET_SEALS) != kSeals ||
      pread(kHandshakeFd, &record, sizeof record, 0) != ssize_t{sizeof record} ||
      record.magic != kJailMagic || record.size != sizeof record) {
    return fail(
        "this program runs only inside the jail of keisei; use keisei evaluate, or keisei guard "
        "--strict -- COMMAND");
  }
  return record;
}

bool limit_holds(__rlimit_resource resource, std::uint64_t value) {
  rlimit limit = {};
  return getrlimit(resource, &limit) == 0 && limit.rlim_max <= value;
}

}  // namespace

Result<JailHandshake> inherited_handshake() {
  KEISEI_TRY(record, read_record());
  const bool filtered = prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER;
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ||
      ((record.mechanisms & mechanism::kSeccomp) != 0 && !filtered) ||
      !limit_holds(RLIMIT_CORE, 0) || !limit_holds(RLIMIT_DATA, record.data_bytes)) {
    return fail(
        "the jail's handshake says what does not hold for this process; start it by keisei");
  }
  return JailHandshake{.memory = {record.memory_bytes},
                       .timeout = std::chrono::nanoseconds(record.timeout_ns),
                       .pid_namespace = record.pid_namespace != 0};
}

}  // namespace keisei::os
