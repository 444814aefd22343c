#pragma once

#include <array>
#include <cstddef>

#include "base/unique_fd.h"

namespace keisei::guard {

/// What wakes one run: at most 8 descriptors behind one.
class WakeSet {
 public:
  /// Descriptors that are readable, or at their end.
  class Ready {
   public:
    [[nodiscard]] bool has(int fd) const;

   private:
    friend class WakeSet;
    std::array<int, 8> fds_{};
    std::size_t count_ = 0;
  };

  WakeSet();
  /// Readable while any of them is; -1: no descriptor was left for it.
  [[nodiscard]] int fd() const { return epoll_.get(); }
  /// A descriptor of -1 is watched in vain. False where the kernel refuses; errno tells why.
  [[nodiscard]] bool watch(int fd);
  void forget(int fd);
  /// One call for all of them, so that nobody reads where there is nothing. Does not block.
  [[nodiscard]] Ready ready() const;

 private:
  UniqueFd epoll_;
};

}  // namespace keisei::guard
