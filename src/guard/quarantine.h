#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <list>
#include <memory>

#include "base/unique_fd.h"
#include "guard/admission.h"

namespace keisei::guard {

/// The slots of trees that SIGKILL did not end: what such a tree holds is still held, so its slot
/// is not free. Each is given back when its tree is gone at last. Nobody waits for that but who
/// waits for a slot. Used on the loop thread.
class Quarantine : public std::enable_shared_from_this<Quarantine> {
 public:
  [[nodiscard]] static std::shared_ptr<Quarantine> create(boost::asio::any_io_executor executor);

  /// `pidfd`: the tree's init, a child of this process.
  void add(UniqueFd pidfd, Permit permit);

  /// For as long as somebody waits for a slot: those that are free again are given back soon.
  class Watch {
   public:
    explicit Watch(std::shared_ptr<Quarantine> quarantine);
    ~Watch() { --quarantine_->watches_; }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    std::shared_ptr<Quarantine> quarantine_;
  };

  /// How many slots it holds.
  [[nodiscard]] int held();

 private:
  struct Held {
    UniqueFd pidfd;
    Permit permit;
  };
  explicit Quarantine(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}
  void release_gone();
  void look_while_wanted();
  static boost::asio::awaitable<void> keep_looking(std::shared_ptr<Quarantine> self);

  const boost::asio::any_io_executor executor_;
  std::list<Held> held_;
  int watches_ = 0;
  int lookers_ = 0;  // 0 or 1
};

}  // namespace keisei::guard
