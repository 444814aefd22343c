#pragma once

#include <memory>

namespace keisei::guard {

/// A known load for the positive control: a thread per processor that does nothing but count, at
/// the weight of this process. One thread uses it.
class CalibratedLoad {
 public:
  CalibratedLoad();
  ~CalibratedLoad() { stop(); }
  CalibratedLoad(const CalibratedLoad&) = delete;
  CalibratedLoad& operator=(const CalibratedLoad&) = delete;

  /// For ten seconds at most: nobody forgets it. Nothing where it runs already. Where the system
  /// refuses a thread it runs with fewer.
  void start();
  /// At once: its threads end as soon as they are scheduled again, and nobody waits for them.
  void stop();
  /// Of all its threads so far, within a millisecond's work each.
  [[nodiscard]] double cpu_seconds() const;

 private:
  struct Shared;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace keisei::guard
