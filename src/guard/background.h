#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <concepts>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace keisei::guard {

/// One thread for what would hold the event loop up: reading large reports, waiting for the disk.
///
///   loop: co_await run(work) -> thread: work() -> loop: its result
///
/// Begun when it is first needed. One piece of work at a time, in the order of asking. Used by the
/// loop thread, and destroyed before the loop is; that waits for work which has begun, and drops
/// the rest. A coroutine that awaits then never goes on.
class Background {
 public:
  Background();
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  /// `work` owns what it touches, or that outlives this object. It has its turn on the calling
  /// thread where the system gives no thread.
  template <std::invocable Work>
  boost::asio::awaitable<std::invoke_result_t<Work>> run(Work work) {
    auto job = std::make_shared<Job<Work>>(std::move(work));
    if (begun()) {
      boost::asio::awaitable<void> doing = perform(job);
      co_await boost::asio::co_spawn(*pool_, std::move(doing), boost::asio::use_awaitable);
    } else {
      job->result.emplace(job->work());
    }
    co_return std::move(*job->result);
  }

 private:
  template <typename Work>
  struct Job {
    explicit Job(Work what) : work(std::move(what)) {}
    Work work;
    std::optional<std::invoke_result_t<Work>> result;
  };

  template <typename Work>
  static boost::asio::awaitable<void> perform(std::shared_ptr<Job<Work>> job) {
    job->result.emplace(job->work());
    co_return;
  }
  [[nodiscard]] bool begun();

  std::unique_ptr<boost::asio::thread_pool> pool_;
};

}  // namespace keisei::guard
