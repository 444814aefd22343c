#include "guard/interrupts.h"

#include <pthread.h>
#include <signal.h>

namespace keisei::guard {
namespace {

/// While it lives this thread takes neither signal: they wait.
class SignalsWait {
 public:
  SignalsWait() {
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &both, &before_);
  }
  ~SignalsWait() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsWait(const SignalsWait&) = delete;
  SignalsWait& operator=(const SignalsWait&) = delete;

 private:
  sigset_t before_ = {};
};

}  // namespace

Interrupts::Interrupts() : signals_(loop_, SIGINT, SIGTERM) {
  signals_.async_wait([this](const boost::system::error_code& cancelled, int signal) {
    if (!cancelled) {
      first_ = signal;
    }
  });
}

Interrupts::~Interrupts() {
  const SignalsWait wait;
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
