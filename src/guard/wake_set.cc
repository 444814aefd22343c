#include "guard/wake_set.h"

#include <sys/epoll.h>

#include <algorithm>

namespace keisei::guard {

WakeSet::WakeSet() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

bool WakeSet::watch(int fd) {
  epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
  return fd < 0 || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void WakeSet::forget(int fd) { epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

WakeSet::Ready WakeSet::ready() const {
  Ready ready;
  std::array<epoll_event, std::tuple_size_v<decltype(ready.fds_)>> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    ready.fds_[ready.count_++] = events[static_cast<std::size_t>(i)].data.fd;
  }
  return ready;
}

bool WakeSet::Ready::has(int fd) const {
  return std::ranges::find(fds_.begin(), fds_.begin() + count_, fd) != fds_.begin() + count_;
}

}  // namespace keisei::guard
