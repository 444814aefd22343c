#include "guard/training_turn.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace keisei::guard {
namespace {

constexpr off_t kTurn = 0;
constexpr off_t kSupervised = 1;
constexpr off_t kFirstTicket = 2;
constexpr off_t kToTheEnd = 0;        // as a length
constexpr int kMostWaiting = 10'000;  // whoever sees more is being fooled

/// A range of bytes, as fcntl(2) takes it.
struct ::flock range_of(short type, off_t start, off_t length) {
  struct ::flock range = {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = start;
  range.l_len = length;
  return range;
}

/// False: another process has it.
Result<bool> lock_byte(int fd, off_t byte) {
  struct ::flock range = range_of(F_WRLCK, byte, 1);
  if (::fcntl(fd, F_SETLK, &range) == 0) {
    return true;
  }
  if (errno == EAGAIN || errno == EACCES || errno == EINTR) {
    return false;
  }
  return fail_errno("locking the training's process");
}

void unlock_byte(int fd, off_t byte) {
  struct ::flock range = range_of(F_UNLCK, byte, 1);
  ::fcntl(fd, F_SETLK, &range);
}

/// Some lock that another process has in that range.
Result<std::optional<struct ::flock>> lock_in(int fd, off_t start, off_t length) {
  struct ::flock range = range_of(F_WRLCK, start, length);
  if (::fcntl(fd, F_GETLK, &range) != 0) {
    return fail_errno("looking at the locks of the training's process");
  }
  return range.l_type == F_UNLCK ? std::nullopt : std::optional(range);
}

std::optional<pid_t> owner_of(int fd, off_t byte) {
  const auto found = lock_in(fd, byte, 1);
  return found && *found ? std::optional((*found)->l_pid) : std::nullopt;
}

}  // namespace

Result<TrainingTurn> TrainingTurn::of(const Training& training) {
  UniqueFd process;
  int error = 0;
  if (training.process >= 0) {
    process.reset(::openat(training.process, "clear_refs", O_WRONLY | O_CLOEXEC));
    error = errno;
  }
  UniqueFd progress;
  if (training.progress >= 0) {
    const std::string path = fmt::format("/proc/self/fd/{}", training.progress);
    progress.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    error = errno;
  }
  if (!process && !progress) {
    return fail("whether another guard is beside this training cannot be told ({}): {}",
                ::strerror(error),
                error == EACCES || error == EPERM
                    ? "run the guard as the training's user, or as root"
                    : "the training has ended, or this kernel has no /proc/PID/clear_refs; then "
                      "name the progress file");
  }
  return TrainingTurn(std::move(process), std::move(progress));
}

Result<bool> TrainingTurn::take() {
  if (!process_) {
    if (::flock(progress_.get(), LOCK_EX | LOCK_NB) == 0) {
      return true;
    }
    return errno == EWOULDBLOCK || errno == EINTR ? Result<bool>(false)
                                                  : fail_errno("locking the progress file");
  }
  KEISEI_TRY(ours, take_in_order());
  ours_ = ours;
  hold();
  return ours;
}

void TrainingTurn::hold() {
  if (ours_ && progress_ && !has_file_) {  // a stranger's lock is no reason to wait
    has_file_ = ::flock(progress_.get(), LOCK_SH | LOCK_NB) == 0;
  }
}

/// The tickets make the order, the turn itself makes that it is one: a ticket that was drawn while
/// others came and went can be lower than one that was drawn before it.
Result<bool> TrainingTurn::take_in_order() {
  if (!ticket_) {
    KEISEI_TRY(drawn, draw());
    if (!drawn) {
      return false;
    }
  }
  if (*ticket_ > kFirstTicket) {
    KEISEI_TRY(ahead, lock_in(process_.get(), kFirstTicket, *ticket_ - kFirstTicket));
    if (ahead) {
      return false;
    }
  }
  KEISEI_TRY(ours, lock_byte(process_.get(), kTurn));
  if (ours) {
    unlock_byte(process_.get(), *std::exchange(ticket_, std::nullopt));
  }
  return ours;
}

Result<bool> TrainingTurn::draw() {
  off_t next = kFirstTicket;
  for (int seen = 0; seen < kMostWaiting; ++seen) {
    KEISEI_TRY(found, lock_in(process_.get(), next, kToTheEnd));
    if (!found) {
      KEISEI_TRY(drawn, lock_byte(process_.get(), next));
      ticket_ = drawn ? std::optional<std::int64_t>(next) : std::nullopt;
      return drawn;
    }
    if (found->l_len == kToTheEnd) {
      return false;  // no ticket of a guard is that long
    }
    next = found->l_start + found->l_len;
  }
  return false;
}

std::optional<pid_t> TrainingTurn::holder() const {
  return process_ ? owner_of(process_.get(), kTurn) : std::nullopt;
}

std::optional<pid_t> TrainingTurn::supervisor() const {
  return process_ ? owner_of(process_.get(), kSupervised) : std::nullopt;
}

Result<UniqueFd> mark_supervised(pid_t learner) {
  const std::string path = fmt::format("/proc/{}/clear_refs", learner);
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) {
    return fail_errno("opening " + path);
  }
  KEISEI_TRY(ours, lock_byte(file.get(), kSupervised));
  if (!ours) {
    return fail("process {} says already that it evaluates beside the learner {}",
                owner_of(file.get(), kSupervised).value_or(0), learner);
  }
  return file;
}

}  // namespace keisei::guard
