#include "guard/cpu_governor.h"

#include <algorithm>

namespace keisei::guard {
namespace {

constexpr double kMostSaved = 0.1;    // seconds of the share
constexpr double kRestartAt = 0.005;  // CPU seconds: not one stop and go per sample

}  // namespace

bool CpuGovernor::may_run(MonotonicTime now, double cpu_seconds) {
  balance_ += share_ * seconds(now - last_) - (cpu_seconds - used_);
  balance_ = std::min(balance_, std::max(share_ * kMostSaved, 2 * kRestartAt));
  last_ = now;
  used_ = cpu_seconds;
  running_ = running_ ? balance_ > 0 : balance_ >= kRestartAt;
  return running_;
}

}  // namespace keisei::guard
