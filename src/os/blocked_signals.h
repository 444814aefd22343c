#pragma once

#include <signal.h>

#include <initializer_list>

namespace keisei::os {

/// While it lives this thread takes none of these signals: they wait for it, or go to another
/// thread. A thread that is made meanwhile begins without them too.
class BlockedSignals {
 public:
  BlockedSignals(std::initializer_list<int> signals) {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : signals) {
      sigaddset(&set, signal);
    }
    pthread_sigmask(SIG_BLOCK, &set, &before_);
  }
  [[nodiscard]] static BlockedSignals all() { return BlockedSignals(); }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  BlockedSignals() {
    sigset_t set;
    sigfillset(&set);
    pthread_sigmask(SIG_BLOCK, &set, &before_);
  }

  sigset_t before_ = {};
};

}  // namespace keisei::os
