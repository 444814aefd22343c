#include "guard/training_trial.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <exception>
#include <utility>

#include "guard/training_governor.h"
#include "os/attack.h"
#include "os/procfs.h"

namespace keisei::guard {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto kSpare = 2s;
constexpr auto kSpin = 3s;
constexpr auto kSpinsAlone = kSpin + 2s;  // where no limit holds
constexpr int kLooksForATick = 100;
constexpr auto kBetweenLooks = 2ms;
constexpr auto kGoodbye = 6s;  // a tree that cannot be killed is given up before

Result<telemetry::StepClockReader> reader_of(const telemetry::StepClockWriter& clock) {
  return telemetry::StepClockReader::attach(UniqueFd(::fcntl(clock.fd(), F_DUPFD_CLOEXEC, 0)));
}

/// One loop with the training and, later, evaluations beside it.
class TrainingTrial {
 public:
  TrainingTrial(ProvingGround& ground, const TrialPlan& plan, telemetry::StepClockWriter& clock,
                telemetry::StepClockReader reader)
      : ground_(ground),
        plan_(plan),
        clock_(clock),
        reader_(std::move(reader)),
        timer_(loop_),
        signals_(loop_, SIGINT, SIGTERM),
        governor_(loop_.get_executor(),
                  {.limit = plan.limit,
                   .seed = random_seed(),
                   .always_slack = plan.always_slack,
                   .on_frame = [this](const telemetry::FrameRecord&) { ++evidence_.frames; }}),
        training_(loop_.get_executor(), limits(training_time()), {}, {}),
        evaluations_(loop_.get_executor(), limits(kSpin), {}, {},
                     {.pressure = {}, .gpu = {}, .training = &governor_}) {
    evidence_.limit = plan.limit;
    evidence_.share_beside = plan.share_beside();
  }

  TrialEvidence run() {
    const auto on_end = [this](const std::exception_ptr& thrown) {
      if (thrown) {
        fail("a library failed");
        stop_listening();
      }
    };
    watch_signals();
    if (ground_.interrupted_by()) {  // before anybody listened here
      end_all();
    }
    children_before_ = os::children_of(::getpid());
    asio::co_spawn(loop_, train(), on_end);
    asio::co_spawn(loop_, observe(), on_end);
    loop_.run();
    return std::move(evidence_);
  }

 private:
  /// Until all has ended: the first ends the trial, and those that follow end nothing else. The
  /// ground keeps it.
  void watch_signals() {
    signals_.async_wait([this](const boost::system::error_code& cancelled, int) {
      if (!cancelled) {
        end_all();
        if (listening_) {
          watch_signals();
        }
      }
    });
  }
  /// Also when a signal has come and its handler, which nobody cancels any more, is still to run.
  void stop_listening() {
    listening_ = false;
    signals_.cancel();
  }
  void end_one() {
    if (--running_ == 0) {
      stop_listening();
    }
  }
  /// keisei-attack ends by itself soon after.
  [[nodiscard]] std::chrono::milliseconds training_time() const {
    return plan_.warm_up + plan_.alone + plan_.beside + kGoodbye + plan_.after + kSpare;
  }
  static EvaluationLimits limits(std::chrono::nanoseconds timeout) {
    return {.max_concurrent = 1, .timeout = timeout, .processes = 256};
  }

  asio::awaitable<void> train() {
    GuardedCommand command = ground_.command("train", {std::to_string(training_time().count())});
    command.profile = Profile::Command;
    command.fds = {{clock_.fd(), os::kAttackClockFd}};
    const GuardedRun run =
        co_await training_.run_evaluation_with_safeguards(std::move(command), training_control_);
    if (run.record.outcome != Outcome::Cancelled) {
      fail(fmt::format("the training ended as {}: {}{}", to_string(run.record.outcome),
                       run.record.cause, run.stderr_tail));
    }
    end_one();
  }

  asio::awaitable<void> observe() {
    if (over_) {
      co_return;
    }
    co_await pass(plan_.warm_up);
    if (over_) {
      co_return;
    }
    governor_.watch(std::move(*reader_of(clock_)), training_process());
    evidence_.rate_before = co_await rate_over(plan_.alone);
    if (over_) {
      co_return;
    }
    ++running_;
    asio::co_spawn(loop_, ask(), [this](const std::exception_ptr& thrown) {
      if (thrown) {
        fail("a library failed");
      }
      asked_ = true;
      if (enough_) {
        timer_.cancel();
      }
      end_one();
    });
    evidence_.rate_beside = co_await rate_over(plan_.beside);
    if (over_) {
      co_return;
    }
    co_await stop_asking();
    if (over_) {
      co_return;
    }
    evidence_.rate_after = co_await rate_over(plan_.after);
    end_all();
  }

  asio::awaitable<void> stop_asking() {
    enough_ = true;
    control_.cancel(Outcome::Cancelled, "the attack is over");
    if (!asked_) {
      co_await pass(kGoodbye);
    }
    if (!asked_) {
      fail("the last evaluation could not be ended");
    }
    governor_.stop();
    evidence_.impact = governor_.controller().impact().estimate();
  }

  /// We have made the clock, and the training writes it from within a PID namespace: the new child
  /// of ours is its tree's root. Nothing where that is ambiguous.
  [[nodiscard]] std::optional<pid_t> training_process() const {
    std::optional<pid_t> found;
    for (const pid_t child : os::children_of(::getpid())) {
      if (std::ranges::find(children_before_, child) != children_before_.end()) {
        continue;
      }
      if (found) {
        return std::nullopt;
      }
      found = child;
    }
    return found;
  }

  asio::awaitable<void> ask() {
    while (!over_ && !enough_) {
      GuardedCommand spin =
          ground_.command("spin", {std::to_string(std::chrono::milliseconds(kSpinsAlone).count())});
      const GuardedRun run =
          co_await evaluations_.run_evaluation_with_safeguards(std::move(spin), control_);
      evidence_.ended += run.record.latency_ms > 0 ? 1 : 0;
      if (run.record.outcome == Outcome::StartFailed || run.record.outcome == Outcome::Unkillable) {
        fail(run.record.cause);
      }
      if (run.record.outcome == Outcome::Rejected) {
        co_return;  // asked again it would be so at once, before anything else here can happen
      }
    }
  }

  /// Not at all when all is over: there may have been no wait yet that end_all() could cancel.
  asio::awaitable<void> pass(std::chrono::nanoseconds time) {
    if (over_) {
      co_return;
    }
    timer_.expires_after(time);
    boost::system::error_code cancelled;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }

  /// Zero where the training did nothing.
  asio::awaitable<double> rate_over(std::chrono::nanoseconds time) {
    const telemetry::StepClockReading from = co_await next_tick();
    co_await pass(time);
    const telemetry::StepClockReading to = co_await next_tick();
    co_return to.time > from.time
        ? static_cast<double>(to.units - from.units) / seconds(to.time - from.time)
        : 0;
  }

  /// One that was not seen before, as far as there is one: a reading in the middle of a tick
  /// answers with the last one seen.
  asio::awaitable<telemetry::StepClockReading> next_tick() {
    for (int i = 0; i < kLooksForATick && !over_; ++i) {
      const Result<telemetry::StepClockReading> reading = reader_.read();
      if (!reading) {
        fail(reading.error().message);
      } else if (reading->ticks != seen_.ticks) {
        seen_ = *reading;
        break;
      }
      co_await pass(kBetweenLooks);
    }
    co_return seen_;
  }

  void fail(std::string why) {
    if (evidence_.trouble.empty()) {
      evidence_.trouble = std::move(why);
    }
    end_all();
  }

  void end_all() {
    over_ = true;
    control_.cancel(Outcome::Cancelled, "the attack is over");
    training_control_.cancel(Outcome::Cancelled, "the attack is over");
    governor_.stop();
    timer_.cancel();
  }

  ProvingGround& ground_;
  const TrialPlan plan_;
  telemetry::StepClockWriter& clock_;
  telemetry::StepClockReader reader_;
  asio::io_context loop_{1};
  asio::steady_timer timer_;
  asio::signal_set signals_;
  TrainingGovernor governor_;
  EvaluationPerformanceManager training_;
  EvaluationPerformanceManager evaluations_;
  RunControl training_control_;
  RunControl control_;
  std::vector<pid_t> children_before_;
  telemetry::StepClockReading seen_;
  TrialEvidence evidence_;
  bool over_ = false;
  bool enough_ = false;  // no further evaluation
  bool asked_ = false;   // and the last one has ended
  int running_ = 1;      // the training and whoever asks for evaluations
  bool listening_ = true;
};

}  // namespace

double TrialEvidence::disturbed() const {
  const auto found = impact.discarded.find(std::string(discard::kDisturbed));
  return found == impact.discarded.end() || frames == 0
             ? 0
             : static_cast<double>(found->second) / frames;
}

double TrialEvidence::loss() const { return loss_against((rate_before + rate_after) / 2); }

double TrialEvidence::least_loss() const { return loss_against(std::min(rate_before, rate_after)); }

double TrialEvidence::most_loss() const { return loss_against(std::max(rate_before, rate_after)); }

double TrialEvidence::loss_against(double rate) const {
  return share_beside * (1 - rate_beside / rate);
}

TrialEvidence try_training(ProvingGround& ground, const TrialPlan& plan) {
  TrialEvidence evidence{.limit = plan.limit};
  Result<telemetry::StepClockWriter> clock = telemetry::StepClockWriter::create();
  if (!clock) {
    evidence.trouble = clock.error().message;
    return evidence;
  }
  Result<telemetry::StepClockReader> reader = reader_of(*clock);
  if (!reader) {
    evidence.trouble = reader.error().message;
    return evidence;
  }
  evidence = TrainingTrial(ground, plan, *clock, std::move(*reader)).run();
  evidence.interrupted_by = ground.interrupted_by();
  if (evidence.interrupted_by) {
    evidence.trouble = "interrupted";
  }
  return evidence;
}

}  // namespace keisei::guard
