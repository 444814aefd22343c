#include "os/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace keisei::os {
namespace {

constexpr int kParkingFd = 230;  // above every number that is asked for, below the usual limit
constexpr int kNeededFiles = 272;

std::vector<char*> pointers(std::span<const std::string> strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const std::string& text : strings) {
    result.push_back(const_cast<char*>(text.c_str()));
  }
  result.push_back(nullptr);
  return result;
}

class FileActions {
 public:
  FileActions() { posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;

  /// Sources are parked first, so that no target overwrites a source that is still needed.
  Result<void> map(std::span<const FdMapping> fds) {
    for (const FdMapping& mapping : fds) {
      UniqueFd& parked = parked_.emplace_back(fcntl(mapping.fd, F_DUPFD_CLOEXEC, kParkingFd));
      if (!parked && (errno == EINVAL || errno == EMFILE)) {
        return fail("starting a child needs {} open files; raise the limit, as with ulimit -n {}",
                    kNeededFiles, kNeededFiles);
      }
      if (!parked) {
        return fail_errno("duplicating a descriptor for a child");
      }
    }
    for (std::size_t i = 0; i < fds.size(); ++i) {
      posix_spawn_file_actions_adddup2(&actions_, parked_[i].get(), fds[i].child_fd);
    }
    posix_spawn_file_actions_addclosefrom_np(&actions_, highest(fds) + 1);
    return {};
  }

  void close_gaps(std::span<const FdMapping> fds) {
    for (int fd = 3; fd <= highest(fds); ++fd) {
      const auto named = [fd](const FdMapping& mapping) { return mapping.child_fd == fd; };
      if (std::ranges::none_of(fds, named)) {
        posix_spawn_file_actions_addclose(&actions_, fd);
      }
    }
  }

  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  static int highest(std::span<const FdMapping> fds) {
    int highest = 2;
    for (const FdMapping& mapping : fds) {
      highest = std::max(highest, mapping.child_fd);
    }
    return highest;
  }

  posix_spawn_file_actions_t actions_ = {};
  std::vector<UniqueFd> parked_;
};

class Attributes {
 public:
  Attributes(bool own_process_group, std::span<const int> blocked) {
    posix_spawnattr_init(&attributes_);
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : blocked) {
      sigaddset(&signals, signal);
    }
    posix_spawnattr_setsigmask(&attributes_, &signals);
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    sigaddset(&signals, SIGXFSZ);
    sigaddset(&signals, SIGCHLD);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
    int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (own_process_group) {
      posix_spawnattr_setpgroup(&attributes_, 0);
      flags |= POSIX_SPAWN_SETPGROUP;
    }
    posix_spawnattr_setflags(&attributes_, static_cast<short>(flags));
  }
  ~Attributes() { posix_spawnattr_destroy(&attributes_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;

  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_ = {};
};

}  // namespace

Result<pid_t> spawn(const SpawnRequest& request) {
  FileActions actions;
  KEISEI_TRY_VOID(actions.map(request.fds));
  if (!request.program_closes_gaps) {
    actions.close_gaps(request.fds);
  }
  const Attributes attributes(request.own_process_group, request.blocked);
  const std::vector<char*> argv = pointers(request.argv);
  const std::vector<char*> environment = pointers(request.environment);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, request.path.c_str(), actions.get(), attributes.get(),
                                 argv.data(), environment.data());
  if (error != 0) {
    errno = error;
    return fail_errno(fmt::format("starting {}", request.path));
  }
  return pid;
}

Result<UniqueFd> open_pidfd(pid_t pid) {
  UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) {
    return fail_errno("pidfd_open (Linux 5.3 or newer is needed)");
  }
  return fd;
}

ExitStatus exit_status(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    return {.code = std::nullopt, .signal = WTERMSIG(wait_status)};
  }
  return {.code = WEXITSTATUS(wait_status), .signal = std::nullopt};
}

}  // namespace keisei::os
