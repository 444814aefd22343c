#include "guard/last_resorts.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr auto kKillPatience = 5s;   // then the tree is in the kernel's hands
constexpr auto kSweepPatience = 4s;  // many take a sweep seconds on a slow machine

}  // namespace

bool LastResorts::may_kill_init() const {
  return containment_ == os::Containment::Sweep && !init_killed_;
}

LastResorts::Act LastResorts::next(MonotonicTime now) {
  if (now >= since_ + kKillPatience) {
    return Act::GiveUp;
  }
  if (may_kill_init() && now >= since_ + kSweepPatience) {
    init_killed_ = true;
    return Act::KillInit;
  }
  return Act::Wait;
}

MonotonicTime LastResorts::wake() const {
  return may_kill_init() ? since_ + kSweepPatience : since_ + kKillPatience;
}

}  // namespace keisei::guard
