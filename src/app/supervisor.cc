#include "app/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <filesystem>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "app/evaluation_settings.h"
#include "app/learner_channel.h"
#include "app/progress.h"
#include "app/progress_display.h"
#include "base/file.h"
#include "eval/evaluation_manager.h"
#include "eval/lost_evaluations.h"
#include "guard/heartbeat.h"
#include "guard/impact_certificate.h"
#include "guard/performance_manager.h"
#include "guard/training_governor.h"
#include "guard/training_turn.h"
#include "telemetry/step_clock.h"

namespace keisei::app {
namespace {

namespace asio = boost::asio;
using asio::awaitable;

/// The state of one supervision. Everything runs on the loop thread.
class Supervisor {
 public:
  Supervisor(const Options& options, LearnerHandle learner, store::RunStore& store,
             telemetry::Log& log)
      : options_(options),
        learner_(std::move(learner)),
        store_(store),
        log_(log),
        channel_(loop_.get_executor(), std::move(learner_.channel)),
        signals_(loop_, SIGINT, SIGTERM, SIGHUP),
        ticker_(loop_),
        heart_timer_(loop_) {}

  Result<SupervisionEnd> run(const RunDirectory& directory) {
    KEISEI_TRY(limits, limits_from(options_));
    KEISEI_TRY(settings, settings_from(options_, directory.path()));
    certificate_file_ = directory.path() / "impact.json";
    governor_.emplace(
        loop_.get_executor(),
        guard::TrainingGovernor::Options{
            .limit = options_.evaluation.sla.training_impact_percent / 100,
            .seed = guard::random_seed(),
            .supervision = static_cast<std::int64_t>(guard::random_seed()),
            .slack_loss = learner_.isolation.slack_loss,
            .on_frame = [this](const telemetry::FrameRecord& frame) { keep(frame); }});
    guard_.emplace(loop_.get_executor(), limits, sla_from(options_), directory.slots(),
                   guard::HostView{
                       .pressure = {.trainer_threads = static_cast<int>(options_.training.workers)},
                       .gpu = {},
                       .training = &*governor_});
    evaluations_.emplace(*guard_, store_, settings);
    KEISEI_TRY_VOID(keep_lost_evaluations(directory.path()));
    progress_.total_steps = options_.training.total_steps;
    progress_.enforcement = options_.evaluation.enforcement.enabled;
    if (!progress_.enforcement) {
      event(telemetry::LogLevel::Warning, "enforcement_off",
            "evaluation.enforcement.enabled is false: evaluations run without limits");
    }
    if (!learner_.isolation.sentence.empty()) {
      event(telemetry::LogLevel::Info, "isolation", learner_.isolation.sentence);
    }
    asio::co_spawn(loop_, channel_.read(listener()), on_end());
    asio::co_spawn(loop_, watch_signals(), on_end());
    asio::co_spawn(loop_, tick(), on_end());
    asio::co_spawn(loop_, watch_heartbeat(), on_end());
    loop_.run();
    if (!failure_) {
      write_certificate();
    }
    return failure_ ? Result<SupervisionEnd>(tl::unexpected(std::move(*failure_))) : end_;
  }

 private:
  /// What becomes of a coroutine: one that ends in an exception, which only a library can throw,
  /// ends the supervision.
  std::function<void(std::exception_ptr)> on_end() {
    return [this](const std::exception_ptr& thrown) {
      if (!thrown) {
        return;
      }
      try {
        std::rethrow_exception(thrown);
      } catch (const std::exception& error) {
        give_up(Error{fmt::format("the supervisor failed: {}", error.what())});
      }
    };
  }

  LearnerChannel::Listener listener() {
    return {.take =
                [this](telemetry::Message message) {
                  std::visit(
                      [this](auto&& content) { take(std::forward<decltype(content)>(content)); },
                      std::move(message));
                },
            .bad =
                [this](const Error& error) {
                  event(telemetry::LogLevel::Error, "bad_message",
                        "the learner sent what cannot be read: " + error.message);
                }};
  }

  void take(telemetry::Hello hello) {
    say(fmt::format("the learner (process {}) is at step {} with {}", hello.record.pid,
                    hello.record.step, hello.record.net));
    heartbeat_ = {};
    clock_.reset();
    claim(hello.record.pid);
    const Result<void> attached = hello.step_clock ? attach_clock(std::move(hello.step_clock))
                                                   : fail("the learner has no step clock");
    if (!attached) {
      lose_clock(attached.error());
      governor_->watch_without_progress(
          hello.record.pid, "the learner's progress cannot be read: " + attached.error().message);
    }
  }
  /// What this training may lose is spent here: no `keisei guard --training` spends it as well.
  void claim(pid_t learner) {
    if (!options_.evaluation.enabled) {
      return;
    }
    claim_.reset();
    if (auto claimed = guard::mark_supervised(learner); claimed) {
      claim_ = std::move(*claimed);
    } else {
      event(telemetry::LogLevel::Warning, "not_claimed",
            "a `keisei guard` beside this learner is not told of its evaluations: " +
                claimed.error().message);
    }
  }
  /// Two readers: the heart is looked at on its own, however the governor fares.
  Result<void> attach_clock(UniqueFd fd) {
    UniqueFd second(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    KEISEI_TRY(heart, telemetry::StepClockReader::attach(std::move(fd)));
    KEISEI_TRY(governed, telemetry::StepClockReader::attach(std::move(second)));
    clock_ = std::move(heart);
    governor_->watch(std::move(governed));
    return {};
  }
  void take(telemetry::UpdateRecord update) {
    progress_.update = update;
    keep(update);
  }
  void take(telemetry::CheckpointRecord checkpoint) {
    if (checkpoint.error.empty()) {
      say("checkpoint " + checkpoint.path);
    } else {
      event(telemetry::LogLevel::Error, "checkpoint_failed",
            fmt::format("step {} was not saved: {}", checkpoint.step, checkpoint.error));
    }
    keep(checkpoint);
  }
  void take(telemetry::Notice notice) {
    if (stopping_ || !options_.evaluation.enabled) {
      return;
    }
    if (progress_.learner_silent) {
      held_.push_back(std::move(notice));
    } else {
      asio::co_spawn(loop_, evaluate(std::move(notice)), on_end());
    }
  }
  void take(telemetry::FinishedRecord finished) {
    end_ = {.learner_finished = true, .reason = finished.reason};
    governor_->release();
    say(fmt::format("the learner finished at step {}: {}", finished.step, finished.reason));
  }
  void take(telemetry::Closed /*closed*/) {
    progress_.learner_attached = false;
    held_.clear();
    governor_->release();
    if (!end_.learner_finished) {
      end_.reason = "the learner was lost: it closed its channel without a last word";
      event(telemetry::LogLevel::Error, "learner_lost", end_.reason);
      evaluations_->cancel_all(guard::Outcome::TrainerLost, "the learner is gone");
    }
    finish_if_done();
  }

  awaitable<void> evaluate(telemetry::Notice notice) {
    const std::int64_t step = notice.record.step;
    if (!progress_.enforcement) {
      event(telemetry::LogLevel::Warning, "enforcement_off",
            fmt::format("step {} is evaluated WITHOUT limits: enforcement is off", step));
    }
    progress_.evaluations_active = evaluations_->active() + 1;
    auto record = co_await evaluations_->evaluate_notice(std::move(notice));
    progress_.evaluations_active = evaluations_->active();
    if (record) {
      say(evaluation_line(*record));
      progress_.evaluation = std::move(*record);
    } else {
      event(telemetry::LogLevel::Error, "evaluation_failed",
            fmt::format("step {} was not evaluated: {}", step, record.error().message));
    }
    finish_if_done();
  }

  awaitable<void> watch_signals() {
    for (int received = 1;; ++received) {
      boost::system::error_code error;
      co_await signals_.async_wait(asio::redirect_error(asio::use_awaitable, error));
      // Whoever cancels this wait does not find it when a signal has just ended it.
      if (error || done()) {
        co_return;
      }
      stopping_ = true;
      held_.clear();
      if (received == 1) {
        learner_.send_signal(SIGTERM);
        say("stopping: the learner saves a checkpoint (once more: stop at once)");
        evaluations_->cancel_all(guard::Outcome::Cancelled, "the run was stopped");
      } else {
        learner_.send_signal(SIGKILL);
      }
    }
  }

  awaitable<void> tick() {
    while (!done()) {
      display_.show(progress_, MonotonicClock::now());
      ticker_.expires_after(std::chrono::seconds(1));
      boost::system::error_code error;
      co_await ticker_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
    display_.clear();
    signals_.cancel();  // the last thing that the loop waits for
  }

  /// A learner that makes no progress, for whatever reason, gets no evaluations until it does.
  awaitable<void> watch_heartbeat() {
    while (!done()) {
      if (clock_ && !end_.learner_finished) {
        look_at_heart(MonotonicClock::now());
      }
      heart_timer_.expires_after(kHeartInterval);
      boost::system::error_code error;
      co_await heart_timer_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
  }

  void look_at_heart(MonotonicTime now) {
    const Result<telemetry::StepClockReading> reading = clock_->read();
    if (!reading) {
      return lose_clock(reading.error());
    }
    const bool silent = heartbeat_.observe(*reading, now) == guard::HeartbeatJudge::State::Silent;
    if (silent && !progress_.learner_silent) {
      const std::string cause =
          fmt::format("the learner has made no progress for {} (phase {})",
                      to_string(heartbeat_.silence()), telemetry::to_string(reading->phase));
      event(telemetry::LogLevel::Error, "learner_silent",
            cause + "; its evaluations end, and new ones wait until it goes on");
      evaluations_->cancel_all(guard::Outcome::TrainerLost, cause);
      progress_.learner_silent = true;
    } else if (!silent && progress_.learner_silent) {
      event(telemetry::LogLevel::Warning, "learner_back", "the learner makes progress again");
      release_held();
    }
  }

  void lose_clock(const Error& error) {
    event(telemetry::LogLevel::Warning, "no_heartbeat",
          "whether the learner makes progress cannot be seen: " + error.message);
    clock_.reset();
    governor_->lose_clock();
    release_held();
  }

  /// From the frames that are kept, so that anybody comes to the same from them. Blocks on the
  /// disk, so only when the loop is over.
  void write_certificate() {
    const guard::ImpactController& controller = governor_->controller();
    const guard::ImpactCertificate certificate{.supervision = controller.options().supervision,
                                               .limit = governor_->limit(),
                                               .seed = controller.options().seed,
                                               .tier = last_tier(),
                                               .impact = controller.impact().estimate()};
    if (certificate.impact.training_s <= 0 && certificate.impact.discarded.empty()) {
      return;  // it watched no training: the certificate of an earlier one stays
    }
    // The seed now, when nobody can use it any more to know the hold-outs beforehand. The events
    // keep it also when the next supervision writes its certificate over this one.
    event(telemetry::LogLevel::Info, "impact_seed",
          fmt::format("the hold-outs of supervision {} were drawn from seed {}",
                      certificate.supervision, controller.options().seed));
    if (auto written = write_file_atomically(certificate_file_, to_json(certificate)); !written) {
      give_up(std::move(written).error());
    }
  }

  [[nodiscard]] std::string last_tier() const {
    const auto last = store_.last_evaluation();
    return last && *last ? (*last)->tier : "";
  }

  void release_held() {
    progress_.learner_silent = false;
    for (telemetry::Notice& notice : std::exchange(held_, {})) {
      take(std::move(notice));
    }
  }

  [[nodiscard]] bool done() const { return channel_.closed() && evaluations_->active() == 0; }

  /// Wakes `tick`, which ends the loop when nothing is left to do.
  void finish_if_done() {
    if (done()) {
      ticker_.cancel();
      heart_timer_.cancel();
    }
  }

  /// A line that stays.
  void say(const std::string& line) {
    display_.clear();
    log_.info("{}", line);
  }

  /// Something worth keeping beyond the log.
  void event(telemetry::LogLevel level, const char* kind, const std::string& message) {
    const telemetry::EventRecord record{.wall = std::chrono::system_clock::now(),
                                        .level = level,
                                        .kind = kind,
                                        .message = message,
                                        .detail = {}};
    display_.clear();
    log_.event(record);
    keep(record);
  }

  /// What a supervisor that was killed left unfinished.
  Result<void> keep_lost_evaluations(const std::filesystem::path& run) {
    KEISEI_TRY(known, store_.evaluations());
    for (const telemetry::EvaluationRecord& lost : eval::find_lost_evaluations(run, known)) {
      event(telemetry::LogLevel::Warning, "evaluation_lost",
            fmt::format("evaluation {}: {}", lost.id, lost.cause));
      keep(lost);
    }
    return {};
  }

  /// A record that cannot be kept ends the supervision: training would go on unseen.
  void keep(const telemetry::Record& record) {
    if (auto kept = store_.add(record); !kept) {
      give_up(std::move(kept).error());
    }
  }

  /// Ends everything here. The caller asks the learner to save and to finish.
  void give_up(Error error) {
    if (failure_) {
      return;
    }
    failure_ = std::move(error);
    evaluations_->cancel_all(guard::Outcome::SupervisorLost, "the supervisor gives up");
    channel_.close();
    governor_->stop();
    signals_.cancel();
    finish_if_done();
  }

  const Options& options_;
  LearnerHandle learner_;
  store::RunStore& store_;
  telemetry::Log& log_;

  asio::io_context loop_{1};
  LearnerChannel channel_;
  asio::signal_set signals_;
  asio::steady_timer ticker_;
  asio::steady_timer heart_timer_;
  std::filesystem::path certificate_file_;
  std::optional<guard::TrainingGovernor> governor_;
  std::optional<guard::EvaluationPerformanceManager> guard_;
  std::optional<eval::EvaluationManager> evaluations_;

  static constexpr std::chrono::milliseconds kHeartInterval{100};
  std::optional<telemetry::StepClockReader> clock_;
  guard::HeartbeatJudge heartbeat_;
  UniqueFd claim_;                       // on the learner
  std::vector<telemetry::Notice> held_;  // while the learner is silent

  ProgressState progress_;
  ProgressDisplay display_;
  SupervisionEnd end_;
  bool stopping_ = false;
  std::optional<Error> failure_;
};

}  // namespace

Result<SupervisionEnd> supervise(const Options& options, const RunDirectory& run,
                                 LearnerHandle learner, store::RunStore& store,
                                 telemetry::Log& log) {
  std::unique_ptr<os::BlockedSignals> held_back = std::move(learner.held_back);
  Supervisor supervisor(options, std::move(learner), store, log);
  held_back.reset();  // it hears them now
  return supervisor.run(run);
}

}  // namespace keisei::app
