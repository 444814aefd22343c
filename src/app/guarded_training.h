#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "guard/heartbeat.h"
#include "guard/run_control.h"
#include "guard/training_governor.h"
#include "guard/training_turn.h"
#include "telemetry/step_clock.h"

namespace keisei::app {

/// The training that `keisei guard --training` names.
struct TrainingSource {
  UniqueFd process;    ///< a pidfd; nothing: who trains is not known
  UniqueFd directory;  ///< its /proc/PID
  pid_t pid = 0;
  UniqueFd file = {};  ///< of the progress; nothing: a process id was named
  std::optional<telemetry::StepClockReader> heart = std::nullopt;     ///< nothing: as `file`
  std::optional<telemetry::StepClockReader> progress = std::nullopt;  ///< of the same clock
  std::string unknown = {};  ///< why who trains is not known, and what to do about it
};

/// `training`: a progress file (keisei_progress.h) or a process id. A file is believed about who
/// writes it only where that process has it mapped; else who trains is not known. Fails (Usage) on
/// anything else, where the named process has ended, and where it is not known and made no progress
/// for a minute.
[[nodiscard]] Result<TrainingSource> open_training(const std::string& training);

/// Keeps what one guarded command costs the training below a limit, and ends it (TrainerLost) when
/// the training does, or makes no progress any more. On the loop thread; stop() lets the loop end.
class GuardedTraining {
 public:
  struct Options {
    std::optional<double> limit = {};                  ///< share of the training that may be lost
    std::function<void(const std::string&)> say = {};  ///< to whoever started the guard
  };
  /// Fails where the training is not to be locked for other guards. `control` outlives this.
  [[nodiscard]] static Result<std::unique_ptr<GuardedTraining>> watch(
      const boost::asio::any_io_executor& executor, TrainingSource source, Options options,
      guard::RunControl& control);

  /// Until no other guard may cost this training anything any more, then the governor begins: what
  /// is earned while another one spends is not ours. Comes back without that when the run is
  /// cancelled; cancels it (Rejected) where `keisei train` evaluates beside the training itself. At
  /// once where only the training's life is watched.
  [[nodiscard]] boost::asio::awaitable<void> take_turn();

  /// Null where only the training's life is watched.
  [[nodiscard]] guard::TrainingGovernor* governor() { return governor_ ? &*governor_ : nullptr; }
  void stop();

 private:
  GuardedTraining(const boost::asio::any_io_executor& executor, TrainingSource source,
                  Options options, guard::RunControl& control);

  /// Whether the wait for it is over.
  [[nodiscard]] bool turn_is_over();
  void say_what_it_waits_for();
  void say_why_it_is_put_off();
  void begin();
  void look();
  void look_later();
  [[nodiscard]] std::string why_lost();

  TrainingSource source_;
  const Options options_;
  guard::RunControl& control_;
  guard::HeartbeatJudge judge_;
  boost::asio::steady_timer timer_;
  boost::asio::steady_timer turn_timer_;
  std::optional<guard::TrainingGovernor> governor_;
  std::optional<guard::TrainingTurn> turn_;  // with the governor
  bool said_ = false;                        // for whom it waits
  bool said_put_off_ = false;                // for what the training has to earn first
  bool stopped_ = false;
};

}  // namespace keisei::app
