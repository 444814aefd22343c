#include "guard/plumbing.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "os/jail.h"
#include "os/warning.h"

namespace keisei::guard {
namespace {

static_assert(kLargestChildFd < os::kHandshakeFd);
static_assert(kMostInheritedFds <= os::kJailMaxPayload);

struct Pipe {
  UniqueFd read_end;  // nonblocking
  UniqueFd write_end;
};

Result<Pipe> make_pipe() {
  int fds[2] = {-1, -1};
  if (pipe2(fds, O_CLOEXEC) != 0) {
    return fail_errno("making a pipe");
  }
  Pipe made{UniqueFd(fds[0]), UniqueFd(fds[1])};
  if (fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0) {
    return fail_errno("making a pipe nonblocking");
  }
  return made;
}

}  // namespace

bool Plumbing::names(int child_fd) const {
  return std::ranges::count(fds, child_fd, &os::FdMapping::child_fd) > 0;
}

Result<UniqueFd> Plumbing::add_pipe(int child_fd) {
  KEISEI_TRY(made, make_pipe());
  fds.push_back({made.write_end.get(), child_fd});
  for_child.push_back(std::move(made.write_end));
  return std::move(made.read_end);
}

Result<UniqueFd> Plumbing::add_warning() {
  KEISEI_TRY(made, make_pipe());
  // The two ends have flags of their own, so that nothing the worker does can block the guard.
  if (fcntl(made.write_end.get(), F_SETFL, O_NONBLOCK) != 0) {
    return fail_errno("making a pipe nonblocking");
  }
  fds.push_back({made.read_end.get(), os::kWarningFd});
  for_child.push_back(std::move(made.read_end));
  return std::move(made.write_end);
}

Result<Plumbing> plumb(const GuardedCommand& command) {
  Plumbing plumbing;
  for (const InheritedFd& inherited : command.fds) {
    plumbing.fds.push_back({inherited.fd, inherited.child_fd});
  }
  if (command.report_fd) {
    KEISEI_TRY(end, plumbing.add_pipe(*command.report_fd));
    plumbing.report = std::move(end);
  }
  if (command.capture_stderr) {
    KEISEI_TRY(end, plumbing.add_pipe(STDERR_FILENO));
    plumbing.stderr_pipe = std::move(end);
  }
  if (command.profile == Profile::Worker) {
    KEISEI_TRY(end, plumbing.add_warning());
    plumbing.warning = std::move(end);
    UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null) {
      return fail_errno("opening /dev/null");
    }
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
      if (!plumbing.names(fd)) {
        plumbing.fds.push_back({null.get(), fd});
      }
    }
    plumbing.for_child.push_back(std::move(null));
  }
  return plumbing;
}

std::set<os::FileId> sealed_files(std::span<const InheritedFd> fds) {
  constexpr int kSealed = F_SEAL_WRITE | F_SEAL_GROW;
  std::set<os::FileId> files;
  for (const InheritedFd& inherited : fds) {
    const int seals = fcntl(inherited.fd, F_GET_SEALS);
    struct stat status = {};
    if (seals >= 0 && (seals & kSealed) == kSealed && fstat(inherited.fd, &status) == 0) {
      files.insert({.device = status.st_dev, .inode = status.st_ino});
    }
  }
  return files;
}

}  // namespace keisei::guard
