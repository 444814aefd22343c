#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "guard/heartbeat.h"
#include "guard/run_control.h"
#include "guard/training_governor.h"
#include "telemetry/step_clock.h"

namespace keisei::app {

/// The training that `keisei guard --training` names.
struct TrainingSource {
  UniqueFd process;  ///< a pidfd
  pid_t pid = 0;
  std::optional<telemetry::StepClockReader> heart =
      std::nullopt;  ///< nothing: a process id was named
  std::optional<telemetry::StepClockReader> progress = std::nullopt;  ///< of the same clock
};

/// `training`: a progress file (keisei_progress.h) or a process id. Fails (Usage) on anything else,
/// and where that process has ended.
[[nodiscard]] Result<TrainingSource> open_training(const std::string& training);

/// Keeps what one guarded command costs the training below a limit, and ends it (TrainerLost) when
/// the training does, or makes no progress any more. On the loop thread; stop() lets the loop end.
class GuardedTraining {
 public:
  /// `limit`: the share of the training that may be lost. `control` outlives this.
  GuardedTraining(const boost::asio::any_io_executor& executor, TrainingSource source,
                  std::optional<double> limit, guard::RunControl& control);

  /// Null where only the training's life is watched.
  [[nodiscard]] guard::TrainingGovernor* governor() { return governor_ ? &*governor_ : nullptr; }
  void stop();

 private:
  void look();
  void look_later();
  [[nodiscard]] std::string why_lost();

  TrainingSource source_;
  guard::RunControl& control_;
  guard::HeartbeatJudge judge_;
  boost::asio::steady_timer timer_;
  std::optional<guard::TrainingGovernor> governor_;
  bool stopped_ = false;
};

}  // namespace keisei::app
