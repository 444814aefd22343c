#include "host_mechanisms.h"

#include <fmt/format.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <map>

namespace keisei::testing_support {
namespace {

/// A kernel with filters looks at this one first, which lies nowhere.
bool has_seccomp() {
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, nullptr) == 0 || errno != EINVAL;
}

bool has_landlock() {
  constexpr unsigned kVersionQuery = 1;
  return syscall(SYS_landlock_create_ruleset, nullptr, 0UL, kVersionQuery) > 0;
}

/// With rights in them: AppArmor lets anybody make a user namespace, in which nothing is allowed.
bool has_namespaces() {
  const pid_t child = fork();
  if (child == 0) {
    const bool own = unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
    _exit(own && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 ? 0 : 1);
  }
  int status = 1;
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

using Question = bool (*)();
const std::map<std::string_view, Question>& questions() {
  static const std::map<std::string_view, Question> all = {
      {"seccomp", has_seccomp}, {"landlock", has_landlock}, {"namespaces", has_namespaces}};
  return all;
}

}  // namespace

bool host_has(std::string_view mechanism) { return questions().at(mechanism)(); }

bool is_mechanism(std::string_view name) { return questions().contains(name); }

std::string not_enforced_here(std::string_view mechanism) {
  return fmt::format("not enforced on this host, which has no {}", mechanism);
}

bool emulated() {
  std::ifstream processors("/proc/cpuinfo");
  for (std::string line; std::getline(processors, line);) {
    if (line.find("QEMU TCG") != std::string::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace keisei::testing_support
