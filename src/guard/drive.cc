#include "guard/drive.h"

#include <fcntl.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/unique_fd.h"

namespace keisei::guard {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

/// Wakes one waiter when a time has come, or a descriptor is readable. The times of all runs are
/// one timer of the loop, and the wait for the descriptor outlasts them: a sample costs neither a
/// call for the one nor for the other.
class Alarm {
 public:
  explicit Alarm(const asio::any_io_executor& executor) : descriptor_(executor), timer_(executor) {}
  ~Alarm() { *alive_ = false; }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  /// Takes the descriptor, unless it cannot be watched.
  error_code watch(UniqueFd& fd) {
    error_code refused;
    descriptor_.assign(fd.get(), refused);
    if (!refused) {
      (void)fd.release();
    }
    return refused;
  }

  asio::awaitable<Wake> ring(MonotonicTime time) {
    listen();
    timer_.expires_at(time);
    error_code ignored;  // something was heard before
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    co_return listening_ ? Wake::ByTime : Wake::ByDescriptor;
  }

 private:
  void listen() {
    if (std::exchange(listening_, true)) {
      return;
    }
    descriptor_.async_wait(asio::posix::descriptor_base::wait_read,
                           [this, alive = alive_](const error_code&) {
                             if (*alive) {
                               listening_ = false;
                               timer_.cancel();
                             }
                           });
  }

  asio::posix::stream_descriptor descriptor_;
  asio::steady_timer timer_;
  bool listening_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // a handler may come after it
};

}  // namespace

asio::awaitable<void> drive(asio::any_io_executor executor, GuardedTask& task) {
  if (task.done()) {
    co_return;
  }
  // Its own descriptor for the same epoll, because Asio closes what it is given.
  UniqueFd own(fcntl(task.wait_fd(), F_DUPFD_CLOEXEC, 0));
  if (!own) {
    co_return task.give_up(kNoDescriptor);
  }
  Alarm alarm(executor);
  if (const error_code refused = alarm.watch(own)) {
    co_return task.give_up("watching a run: " + refused.message());
  }
  while (!task.done()) {
    task.step(co_await alarm.ring(task.next_wake()));
  }
}

}  // namespace keisei::guard
