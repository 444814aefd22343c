#pragma once

#include "base/clock.h"
#include "base/unique_fd.h"

namespace keisei::guard {

/// What wakes one run: descriptors and one point in time, behind one descriptor.
class WakeSet {
 public:
  WakeSet();
  /// Readable while any of them is, or from the armed time on; -1: no descriptor was left for it.
  [[nodiscard]] int fd() const { return timer_ ? epoll_.get() : -1; }
  /// A descriptor of -1 is watched in vain. False where the kernel refuses; errno tells why.
  [[nodiscard]] bool watch(int fd);
  void forget(int fd);
  /// Takes the place of the time before, also of one that has passed.
  void arm(MonotonicTime next);

 private:
  UniqueFd epoll_;
  UniqueFd timer_;
};

}  // namespace keisei::guard
