#pragma once

namespace keisei::guard {

/// What of the supervisor's CPU time is there for its evaluations' sake. While they are at work it
/// is all of it (launching, watching, reading reports); else the governor's looks alone: the
/// training's own records are kept whether anybody evaluates or not. And what the supervisor's
/// helpers use, the probe of GPUs, always. Pure.
class WatchingAccount {
 public:
  /// In CPU seconds, all since some beginning.
  struct Reading {
    double process = 0;
    double load = 0;  ///< the known load's threads, which are in `process` too
    double looks = 0;
    double helpers = 0;  ///< processes that help to watch: they are there for nothing else
  };
  /// Whatever passed before the first reading counts for nobody. `at_work`: evaluations were, at
  /// some time since the last reading.
  void take(const Reading& reading, bool at_work) {
    if (begun_) {
      used_ += at_work ? (reading.process - last_.process) - (reading.load - last_.load)
                       : reading.looks - last_.looks;
      used_ += reading.helpers - last_.helpers;
    }
    begun_ = true;
    last_ = reading;
  }
  /// In CPU seconds. May fall by a little: the kernel counts a thread late.
  [[nodiscard]] double used() const { return used_; }

 private:
  bool begun_ = false;
  Reading last_;
  double used_ = 0;
};

}  // namespace keisei::guard
