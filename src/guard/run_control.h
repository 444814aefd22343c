#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "guard/outcome.h"

namespace keisei::guard {

/// The caller's hand on one run: ends it early or passes a signal to it. Used on the loop thread.
class RunControl {
 public:
  struct CancelRequest {
    Outcome reason;  ///< Cancelled, TrainerLost, SupervisorLost or ImpactExceeded
    std::string cause;
  };

  /// Where no descriptor is left for it, its run ends as StartFailed.
  RunControl();

  /// The first request counts. The run kills its tree (or leaves the queue) and ends as `reason`.
  void cancel(Outcome reason, std::string cause);
  /// Sends `signal` to the main process of the run. While the run waits in the queue the signal
  /// waits with it and ends nothing: for that there is cancel().
  void forward_signal(int signal);

  [[nodiscard]] const std::optional<CancelRequest>& cancel_request() const { return cancel_; }

  // For the run.
  /// Readable after a request; -1 where no descriptor was left.
  [[nodiscard]] int event_fd() const { return event_.get(); }
  [[nodiscard]] std::vector<int> take_signals();  ///< and quiets event_fd

 private:
  UniqueFd event_;
  std::optional<CancelRequest> cancel_;
  std::vector<int> signals_;
};

}  // namespace keisei::guard
