#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/result.h"

namespace keisei::train {

/// A fixed crew that shares out numbered work. The calling thread is worker 0.
///   run(items, job) -> job(worker, item) for each item, each exactly once
/// Which worker takes which item is not determined, so a job must not depend on it.
class Workers {
 public:
  using Job = std::function<Result<void>(int worker, int item)>;

  /// `count` >= 1. `enter_thread` runs once on each of the count - 1 threads that are made.
  Workers(int count, const std::function<void()>& enter_thread);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  [[nodiscard]] int count() const { return static_cast<int>(threads_.size()) + 1; }

  /// Blocks until all items are done, or one has failed and the others at work are done: then fails
  /// as the lowest-numbered of those that failed. From one thread, not from within a job.
  [[nodiscard]] Result<void> run(int items, const Job& job);

 private:
  void serve(int worker);
  void take_items(int worker, const Job& job);

  std::atomic<int> next_item_ = 0;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  // Guarded by mutex_.
  const Job* job_ = nullptr;
  int items_ = 0;
  std::uint64_t round_ = 0;
  int busy_ = 0;
  bool closing_ = false;
  int failed_item_ = 0;
  std::optional<Error> failure_;

  std::vector<std::jthread> threads_;  // last: they use all of the above
};

}  // namespace keisei::train
