#pragma once

#include "base/clock.h"
#include "os/jail.h"

namespace keisei::guard {

/// What is left to do about a tree that should be gone. Pure: it is told the time.
///   told to end -> 4 s, without a namespace: rouse the init -> 5 s: give it up (Unkillable)
/// An init that sweeps is never killed: nobody would find what it has not found yet.
class LastResorts {
 public:
  enum class Act { Wait, RouseInit, GiveUp };

  LastResorts(os::Containment containment, MonotonicTime since)
      : containment_(containment), since_(since) {}

  /// RouseInit comes once.
  [[nodiscard]] Act next(MonotonicTime now);
  /// When next() has something new to say.
  [[nodiscard]] MonotonicTime wake() const;
  [[nodiscard]] MonotonicTime since() const { return since_; }

 private:
  [[nodiscard]] bool may_rouse_init() const;

  os::Containment containment_;
  MonotonicTime since_;
  bool init_roused_ = false;
};

}  // namespace keisei::guard
