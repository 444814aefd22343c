#include "guard/last_resorts.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr auto kKillPatience = 5s;   // then the tree is in the kernel's hands
constexpr auto kSweepPatience = 4s;  // many take a sweep seconds on a slow machine, but no longer

}  // namespace

bool LastResorts::may_rouse_init() const {
  return containment_ == os::Containment::Sweep && !init_roused_;
}

LastResorts::Act LastResorts::next(MonotonicTime now) {
  if (now >= since_ + kKillPatience) {
    return Act::GiveUp;
  }
  if (may_rouse_init() && now >= since_ + kSweepPatience) {
    init_roused_ = true;
    return Act::RouseInit;
  }
  return Act::Wait;
}

MonotonicTime LastResorts::wake() const {
  return may_rouse_init() ? since_ + kSweepPatience : since_ + kKillPatience;
}

}  // namespace keisei::guard
