#include "train/workers.h"

#include <utility>

#include "base/check.h"

namespace keisei::train {

Workers::Workers(int count, const std::function<void()>& enter_thread) {
  KEISEI_CHECK(count >= 1, "{} workers", count);
  for (int worker = 1; worker < count; ++worker) {
    threads_.emplace_back([this, worker, enter_thread] {
      enter_thread();
      serve(worker);
    });
  }
}

Workers::~Workers() {
  {
    const std::scoped_lock lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
}

Result<void> Workers::run(int items, const Job& job) {
  {
    const std::scoped_lock lock(mutex_);
    job_ = &job;
    items_ = items;
    next_item_ = 0;
    busy_ = static_cast<int>(threads_.size());
    failure_.reset();
    ++round_;
  }
  wake_.notify_all();
  take_items(0, job);
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return busy_ == 0; });
  if (failure_) {
    return tl::unexpected<Error>(*std::exchange(failure_, std::nullopt));
  }
  return {};
}

void Workers::serve(int worker) {
  std::uint64_t seen = 0;
  while (true) {
    const Job* job = nullptr;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this, seen] { return closing_ || round_ != seen; });
      if (closing_) {
        return;
      }
      seen = round_;
      job = job_;
    }
    take_items(worker, *job);
    const std::scoped_lock lock(mutex_);
    if (--busy_ == 0) {
      done_.notify_one();
    }
  }
}

void Workers::take_items(int worker, const Job& job) {
  const int items = items_;  // does not change while the round lasts
  for (int item = next_item_++; item < items; item = next_item_++) {
    if (Result<void> done = job(worker, item); !done) {
      next_item_ = items;  // begin no more
      const std::scoped_lock lock(mutex_);
      if (!failure_ || item < failed_item_) {
        failed_item_ = item;
        failure_ = std::move(done).error();
      }
    }
  }
}

}  // namespace keisei::train
