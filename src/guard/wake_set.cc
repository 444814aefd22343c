#include "guard/wake_set.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/check.h"

namespace keisei::guard {

using namespace std::chrono_literals;

WakeSet::WakeSet()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)),
      timer_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  if (timer_ && !watch(timer_.get())) {
    timer_.reset();
  }
}

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

void WakeSet::arm(MonotonicTime next) {
  // steady_clock is CLOCK_MONOTONIC. A new setting also takes back an expiry that nobody read.
  const auto since_boot = std::max(next.time_since_epoch(), std::chrono::nanoseconds(1));
  itimerspec setting = {};
  setting.it_value.tv_sec = since_boot / 1s;
  setting.it_value.tv_nsec = (since_boot % 1s).count();
  KEISEI_CHECK(timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &setting, nullptr) == 0,
               "timerfd_settime: {}", strerror(errno));
}

}  // namespace keisei::guard
