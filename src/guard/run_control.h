#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "guard/outcome.h"

namespace keisei::guard {

/// The caller's hand on one run: ends it early or passes a signal to it. Used on the loop thread.
class RunControl {
 public:
  struct CancelRequest {
    Outcome reason;  ///< none that the run itself finds: Cancelled, TrainerLost, Rejected ...
    std::string cause;
  };

  /// Where no descriptor is left for it, its run ends as StartFailed.
  RunControl();

  /// The first request counts. The run kills its tree (or leaves the queue) and ends as `reason`.
  void cancel(Outcome reason, std::string cause);
  /// Sends `signal` to the main process of the run, or to the process group that it leads. While
  /// the run waits in the queue the signal waits with it and ends nothing: for that there is
  /// cancel().
  void forward_signal(int signal) { add({Order::Kind::SignalMain, signal}); }
  void forward_to_group(int signal) { add({Order::Kind::SignalGroup, signal}); }
  /// Makes that group the foreground group of the terminal, before the signals that follow.
  void give_terminal() { add({Order::Kind::GiveTerminal, 0}); }

  /// Told the signal that stopped the main process of a run in an inherited session; not those
  /// with which the guard paces it.
  void on_stopped(std::function<void(int signal)> listener) { on_stopped_ = std::move(listener); }
  /// While its user has it stopped, the run is not made to go on for the sake of its CPU limit.
  void set_suspended(bool suspended) { suspended_ = suspended; }

  [[nodiscard]] const std::optional<CancelRequest>& cancel_request() const { return cancel_; }

  // For the run.
  /// Readable after a request; -1 where no descriptor was left.
  [[nodiscard]] int event_fd() const { return event_.get(); }
  struct Order {
    enum class Kind { SignalMain, SignalGroup, GiveTerminal };
    Kind kind;
    int signal;
  };
  [[nodiscard]] std::vector<Order> take_orders();  ///< and quiets event_fd
  void note_stopped(int signal) const;
  [[nodiscard]] bool suspended() const { return suspended_; }

 private:
  void add(Order order);

  UniqueFd event_;
  std::optional<CancelRequest> cancel_;
  std::vector<Order> orders_;
  std::function<void(int)> on_stopped_;
  bool suspended_ = false;
};

}  // namespace keisei::guard
