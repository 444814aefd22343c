#include "guard/run_control.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "base/check.h"

namespace keisei::guard {
namespace {

void raise(int event_fd) {
  const std::uint64_t one = 1;
  KEISEI_CHECK(event_fd < 0 || write(event_fd, &one, sizeof one) == sizeof one,
               "writing to an eventfd");
}

}  // namespace

RunControl::RunControl() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void RunControl::cancel(Outcome reason, std::string cause) {
  if (!cancel_) {
    cancel_ = CancelRequest{.reason = reason, .cause = std::move(cause)};
    raise(event_.get());
  }
}

void RunControl::add(Order order) {
  orders_.push_back(order);
  raise(event_.get());
}

std::vector<RunControl::Order> RunControl::take_orders() {
  std::uint64_t count = 0;
  (void)!::read(event_.get(), &count, sizeof count);  // nothing to read is nothing to quiet
  return std::exchange(orders_, {});
}

void RunControl::note_stopped(int signal) const {
  if (on_stopped_) {
    on_stopped_(signal);
  }
}

}  // namespace keisei::guard
