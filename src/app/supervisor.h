#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "app/options.h"
#include "app/run_directory.h"
#include "base/result.h"
#include "guard/isolation_test.h"
#include "os/blocked_signals.h"
#include "store/run_store.h"
#include "telemetry/evaluation_channel.h"
#include "telemetry/log.h"

namespace keisei::app {

/// How the supervisor reaches the learner, which may be its child or have outlived an earlier
/// supervisor.
struct LearnerHandle {
  telemetry::ChannelReceiver channel;
  std::function<void(int signal)> send_signal;  // to the learner's process
  guard::Isolation isolation;                   // of evaluations beside it, where that was tested
  /// Keeps the signals that came since the learner was started, until somebody listens.
  std::unique_ptr<os::BlockedSignals> held_back;
};

/// Why supervising ended.
struct SupervisionEnd {
  bool learner_finished = false;  // it said so; else it was lost
  std::string reason;
};

/// Owns the evaluations of one run: reads the learner's channel, evaluates what it announces, keeps
/// all records, shows progress on stderr.
///   channel -> {records -> store, log; notices -> EvaluationManager -> record -> store} ->
///   progress
/// Runs one event loop until the learner has finished and every evaluation has ended. The first
/// SIGINT or SIGTERM asks the learner to save and finish and cancels evaluations; a second one
/// kills the learner. Fails where the store or the channel fails for good.
[[nodiscard]] Result<SupervisionEnd> supervise(const Options& options, const RunDirectory& run,
                                               LearnerHandle learner, store::RunStore& store,
                                               telemetry::Log& log);

}  // namespace keisei::app
