#include "os/descriptors.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <utility>

namespace keisei::os {
namespace {

struct Spare {
  std::mutex mutex;
  int users = 0;
  UniqueFd fd;
};

Spare& spare() {
  static Spare one;
  return one;
}

std::atomic<int>& shares() {
  static std::atomic<int> count = 0;
  return count;
}

int& failures() {
  thread_local int count = 0;
  return count;
}

int open_to_read(const char* path, int more_flags) {
  return open(path, O_RDONLY | O_CLOEXEC | more_flags);
}

/// Where it was lost to somebody else, and somebody wants one.
void set_aside(Spare& one) {
  if (one.users > 0 && !one.fd) {
    const int before = errno;
    one.fd.reset(open_to_read("/dev/null", 0));
    errno = before;
  }
}

void give_back(UniqueFd fd) {
  Spare& one = spare();
  const std::lock_guard lock(one.mutex);
  if (one.users > 0 && !one.fd) {
    one.fd = std::move(fd);
  }
  set_aside(one);
}

UniqueFd open_scarce(const std::string& path, int more_flags, bool& is_spare) {
  UniqueFd fd(open_to_read(path.c_str(), more_flags));
  if (fd || (errno != EMFILE && errno != ENFILE)) {
    return fd;
  }
  Spare& one = spare();
  const std::lock_guard lock(one.mutex);
  if (one.fd) {
    one.fd.reset();
    fd.reset(open_to_read(path.c_str(), more_flags));
    is_spare = static_cast<bool>(fd);
  }
  if (!fd) {
    failures() += errno == EMFILE || errno == ENFILE ? 1 : 0;
    set_aside(one);  // there was nothing to read, or somebody was faster
  }
  return fd;
}

}  // namespace

SpareDescriptor::SpareDescriptor() {
  Spare& one = spare();
  const std::lock_guard lock(one.mutex);
  ++one.users;
  set_aside(one);
}

SpareDescriptor::~SpareDescriptor() {
  Spare& one = spare();
  const std::lock_guard lock(one.mutex);
  if (--one.users == 0) {
    one.fd.reset();
  }
}

ScarceFile::ScarceFile(const std::string& path, int more_flags)
    : fd_(open_scarce(path, more_flags, spare_)) {}

ScarceFile::~ScarceFile() {
  if (spare_) {
    give_back(std::move(fd_));
  }
}

ScarceDirectory::ScarceDirectory(const std::string& path) {
  UniqueFd fd = open_scarce(path, O_DIRECTORY, spare_);
  if (fd) {
    directory_.reset(fdopendir(fd.get()));
    (void)(directory_ ? fd.release() : -1);
  }
}

void ScarceDirectory::close() {
  directory_.reset();
  if (std::exchange(spare_, false)) {
    give_back({});
  }
}

int descriptor_failures() { return failures(); }

DescriptorShare::~DescriptorShare() { shares() -= count_; }

DescriptorShare::DescriptorShare(DescriptorShare&& other) noexcept
    : count_(std::exchange(other.count_, 0)) {}

DescriptorShare& DescriptorShare::operator=(DescriptorShare&& other) noexcept {
  std::swap(count_, other.count_);
  return *this;
}

bool DescriptorShare::grow(int more) {
  rlimit limit = {};
  const bool known = getrlimit(RLIMIT_NOFILE, &limit) == 0;
  if (!known || static_cast<rlim_t>(shares() + more) > limit.rlim_cur / 2) {
    return false;
  }
  shares() += more;
  count_ += more;
  return true;
}

}  // namespace keisei::os
