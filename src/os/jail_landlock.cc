// Landlock for the worker profile: read and execute everywhere, write only to the scratch and to
// devices that keep nothing; no TCP; no signal and no abstract socket across the domain's border.
// The headers of an older system know less than the kernel, so the numbers stand here.
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/jail_internal.h"

namespace keisei::os::jail {
namespace {

struct Ruleset {
  std::uint64_t files;
  std::uint64_t network;
  std::uint64_t scope;
};
struct __attribute__((packed)) BeneathRule {
  std::uint64_t allowed;
  std::int32_t parent_fd;
};
constexpr int kBeneath = 1;
constexpr unsigned kVersionQuery = 1;

// Rights on files, with the ABI that brought those later than the first.
constexpr std::uint64_t kWriteFile = 1U << 1;
constexpr std::uint64_t kRemoveDirectory = 1U << 4;
constexpr std::uint64_t kRemoveFile = 1U << 5;
constexpr std::uint64_t kMakeCharacterDevice = 1U << 6;
constexpr std::uint64_t kMakeDirectory = 1U << 7;
constexpr std::uint64_t kMakeFile = 1U << 8;
constexpr std::uint64_t kMakeSocket = 1U << 9;
constexpr std::uint64_t kMakeFifo = 1U << 10;
constexpr std::uint64_t kMakeBlockDevice = 1U << 11;
constexpr std::uint64_t kMakeLink = 1U << 12;
constexpr std::uint64_t kRefer = 1U << 13;          // 2
constexpr std::uint64_t kTruncate = 1U << 14;       // 3
constexpr std::uint64_t kDeviceControl = 1U << 15;  // 5

constexpr std::uint64_t kFirstRights = kWriteFile | kRemoveDirectory | kRemoveFile |
                                       kMakeCharacterDevice | kMakeDirectory | kMakeFile |
                                       kMakeSocket | kMakeFifo | kMakeBlockDevice | kMakeLink;
constexpr std::uint64_t kDeviceRights = kWriteFile | kTruncate | kDeviceControl;
constexpr std::uint64_t kBindAndConnect = 3;             // TCP, 4
constexpr std::uint64_t kAbstractSocketsAndSignals = 3;  // 6

constexpr const char* kHarmlessDevices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
                                            "/dev/urandom"};

Ruleset known_rules(int abi) {
  Ruleset rules = {.files = kFirstRights, .network = 0, .scope = 0};
  rules.files |= abi >= 2 ? kRefer : 0;
  rules.files |= abi >= 3 ? kTruncate : 0;
  rules.files |= abi >= 5 ? kDeviceControl : 0;
  rules.network = abi >= 4 ? kBindAndConnect : 0;
  rules.scope = abi >= 6 ? kAbstractSocketsAndSignals : 0;
  return rules;
}

/// What knocks out is a set of mechanism::.
Ruleset without(Ruleset rules, std::uint32_t knocked_out) {
  rules.files = (knocked_out & mechanism::kLandlockFiles) != 0 ? 0 : rules.files;
  rules.network = (knocked_out & mechanism::kLandlockNetwork) != 0 ? 0 : rules.network;
  rules.scope = (knocked_out & mechanism::kLandlockScope) != 0 ? 0 : rules.scope;
  return rules;
}

bool allow(int ruleset, const char* path, std::uint64_t rights) {
  const int parent = open(path, O_PATH | O_CLOEXEC);
  if (parent < 0) {
    return true;  // what is not there needs no right
  }
  const BeneathRule rule = {.allowed = rights, .parent_fd = parent};
  const bool added = syscall(SYS_landlock_add_rule, ruleset, kBeneath, &rule, 0) == 0;
  close(parent);
  return added;
}

bool allow_writes(int ruleset, std::uint64_t handled, bool scratch) {
  bool added = true;
  if (scratch) {
    added = allow(ruleset, "/dev/shm", handled & ~(kMakeCharacterDevice | kMakeBlockDevice));
  }
  for (const char* device : kHarmlessDevices) {
    added = added && allow(ruleset, device, handled & kDeviceRights);
  }
  return added;
}

}  // namespace

LandlockHold enter_landlock(const Setup& setup, std::uint32_t held) {
  const auto abi =
      static_cast<int>(syscall(SYS_landlock_create_ruleset, nullptr, 0UL, kVersionQuery));
  if (abi < 1) {
    return {};
  }
  const Ruleset rules = without(known_rules(abi), setup.spec.without);
  const auto ruleset =
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0));
  if (ruleset < 0) {
    return {};
  }
  const bool scratch = (held & mechanism::kScratch) != 0;
  const bool entered = (rules.files == 0 || allow_writes(ruleset, rules.files, scratch)) &&
                       syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
  close(ruleset);
  if (!entered) {
    return {};
  }
  LandlockHold hold = {.mechanisms = 0, .abi = abi};
  hold.mechanisms |= rules.files != 0 ? mechanism::kLandlockFiles : 0;
  hold.mechanisms |= rules.network != 0 ? mechanism::kLandlockNetwork : 0;
  hold.mechanisms |= rules.scope != 0 ? mechanism::kLandlockScope : 0;
  return hold;
}

}  // namespace keisei::os::jail
