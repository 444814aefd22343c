#pragma once

#include "base/clock.h"
#include "os/jail.h"

namespace keisei::guard {

/// What is left to do about a tree that should be gone. Pure: it is told the time.
///   told to end -> 4 s, without a namespace: kill the init itself -> 5 s: give it up (Unkillable)
class LastResorts {
 public:
  enum class Act { Wait, KillInit, GiveUp };

  LastResorts(os::Containment containment, MonotonicTime since)
      : containment_(containment), since_(since) {}

  /// KillInit comes once.
  [[nodiscard]] Act next(MonotonicTime now);
  /// When next() has something new to say.
  [[nodiscard]] MonotonicTime wake() const;
  [[nodiscard]] MonotonicTime since() const { return since_; }

 private:
  [[nodiscard]] bool may_kill_init() const;

  os::Containment containment_;
  MonotonicTime since_;
  bool init_killed_ = false;
};

}  // namespace keisei::guard
