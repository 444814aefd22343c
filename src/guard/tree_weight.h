#pragma once

#include <sys/types.h>

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"

namespace keisei::guard {

/// The weight of a tree's sessions among those of the host: what the training leaves over (low), or
/// a full share.
///   set(low) again and again while it runs -> lift(): it is to die, which takes a share too
class TreeWeight {
 public:
  enum class Start {
    Full,
    Low,       ///< its session was given the low weight before it began
    LowClass,  ///< it is of the idle class, and its session has no weight of its own
  };
  void begin(Start start);

  /// Of its members: looks at them all where something has changed, and every 250 ms while it is
  /// low, for a session that was made since has its full weight.
  void set(bool low, const std::vector<pid_t>& members, MonotonicTime now);
  /// Of the first few of them, at most so many that no kill is delayed. True where all of these now
  /// have a full share.
  bool lift_first(const std::vector<pid_t>& members);
  void lift(const std::vector<pid_t>& members);
  /// When lift() is to be asked again; nothing: it has done what it can.
  [[nodiscard]] std::optional<MonotonicTime> next_lift(MonotonicTime now) const;

 private:
  std::optional<bool> low_ = false;  // nothing: some of it, or to be looked at
  bool low_class_ = false;
  MonotonicTime next_look_;
};

}  // namespace keisei::guard
