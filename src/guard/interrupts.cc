#include "guard/interrupts.h"

#include <signal.h>

#include "os/blocked_signals.h"

namespace keisei::guard {

Interrupts::Interrupts() : signals_(loop_, SIGINT, SIGTERM) {
  signals_.async_wait([this](const boost::system::error_code& cancelled, int signal) {
    if (!cancelled) {
      first_ = signal;
    }
  });
}

Interrupts::~Interrupts() {
  const os::BlockedSignals wait{SIGINT, SIGTERM};
  const std::optional<int> last = overheard();
  signals_.clear();  // from here on they do what they do by default
  if (last && !told_) {
    raise(*last);
  }
}

std::optional<int> Interrupts::heard() {
  const std::optional<int> first = overheard();
  told_ = first.has_value();
  return first;
}

std::optional<int> Interrupts::overheard() {
  loop_.restart();
  loop_.poll();
  return first_;
}

}  // namespace keisei::guard
