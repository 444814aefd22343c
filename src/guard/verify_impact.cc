#include "guard/verify_impact.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <exception>

#include "guard/training_governor.h"
#include "os/attack.h"

namespace keisei::guard {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr double kTimesTheLimit = 5;
constexpr double kMostAttacked = 0.5;
constexpr auto kWarmUp = 1s;
constexpr auto kBefore = 3s;
constexpr auto kBeside = 9s;
constexpr auto kTrain = 15s;  // keisei-attack ends by itself soon after
constexpr auto kSpin = 3s;
constexpr int kTries = 3;
constexpr double kDisturbed = 0.1;  // share of frames

Result<telemetry::StepClockReader> reader_of(const telemetry::StepClockWriter& clock) {
  return telemetry::StepClockReader::attach(UniqueFd(::fcntl(clock.fd(), F_DUPFD_CLOEXEC, 0)));
}

/// One loop with the training and, later, evaluations beside it.
class ImpactAttack {
 public:
  ImpactAttack(ProvingGround& ground, double limit, telemetry::StepClockWriter& clock,
               telemetry::StepClockReader reader)
      : ground_(ground),
        clock_(clock),
        reader_(std::move(reader)),
        timer_(loop_),
        signals_(loop_, SIGINT, SIGTERM),
        governor_(loop_.get_executor(),
                  {.limit = limit,
                   .seed = random_seed(),
                   .on_frame = [this](const telemetry::FrameRecord&) { ++evidence_.frames; }}),
        training_(loop_.get_executor(), limits(kTrain), {}, {}),
        evaluations_(loop_.get_executor(), limits(kSpin), {}, {},
                     {.pressure = {}, .gpu = {}, .training = &governor_}) {
    evidence_.limit = limit;
  }

  ImpactEvidence run() {
    const auto on_end = [this](const std::exception_ptr& thrown) {
      if (thrown) {
        evidence_.trouble = "a library failed";
        end_all();
      }
    };
    signals_.async_wait([this](const boost::system::error_code& cancelled, int) {
      if (!cancelled) {
        evidence_.trouble = "interrupted";
        end_all();
      }
    });
    asio::co_spawn(loop_, train(), on_end);
    asio::co_spawn(loop_, observe(), on_end);
    loop_.run();
    evidence_.impact = governor_.controller().impact().estimate();
    return std::move(evidence_);
  }

 private:
  static EvaluationLimits limits(std::chrono::nanoseconds timeout) {
    return {.max_concurrent = 1, .timeout = timeout, .processes = 256};
  }

  asio::awaitable<void> train() {
    GuardedCommand command =
        ground_.command("train", {std::to_string(std::chrono::milliseconds(kTrain).count())});
    command.profile = Profile::Command;
    command.fds = {{clock_.fd(), os::kAttackClockFd}};
    const GuardedRun run =
        co_await training_.run_evaluation_with_safeguards(std::move(command), training_control_);
    if (run.record.outcome != Outcome::Cancelled && evidence_.trouble.empty()) {
      evidence_.trouble =
          fmt::format("the training ended as {}: {}{}", to_string(run.record.outcome),
                      run.record.cause, run.stderr_tail);
      end_all();
    }
  }

  asio::awaitable<void> observe() {
    co_await pass(kWarmUp);
    governor_.watch(std::move(*reader_of(clock_)));
    evidence_.rate_before = co_await rate_over(kBefore);
    asio::co_spawn(loop_, ask(), [](const std::exception_ptr&) {});
    evidence_.rate_beside = co_await rate_over(kBeside);
    end_all();
  }

  asio::awaitable<void> ask() {
    while (!over_) {
      GuardedCommand spin =
          ground_.command("spin", {std::to_string(std::chrono::milliseconds(kSpin + 2s).count())});
      const GuardedRun run =
          co_await evaluations_.run_evaluation_with_safeguards(std::move(spin), control_);
      evidence_.ended += run.record.latency_ms > 0 ? 1 : 0;
      if (run.record.outcome == Outcome::StartFailed) {
        evidence_.trouble = run.record.cause;
        end_all();
      }
    }
  }

  asio::awaitable<void> pass(std::chrono::nanoseconds time) {
    timer_.expires_after(time);
    boost::system::error_code cancelled;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }

  asio::awaitable<double> rate_over(std::chrono::nanoseconds time) {
    const Result<telemetry::StepClockReading> from = reader_.read();
    co_await pass(time);
    const Result<telemetry::StepClockReading> to = reader_.read();
    co_return from&& to && to->time > from->time
        ? static_cast<double>(to->units - from->units) / seconds(to->time - from->time)
        : 0;
  }

  void end_all() {
    over_ = true;
    control_.cancel(Outcome::Cancelled, "the attack is over");
    training_control_.cancel(Outcome::Cancelled, "the attack is over");
    governor_.stop();
    timer_.cancel();
    signals_.cancel();
  }

  ProvingGround& ground_;
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
  ImpactEvidence evidence_;
  bool over_ = false;
};

}  // namespace

double ImpactEvidence::disturbed() const {
  const auto found = impact.discarded.find(std::string(discard::kDisturbed));
  return found == impact.discarded.end() || frames == 0
             ? 0
             : static_cast<double>(found->second) / frames;
}

Finding prove_impact(ProvingGround& ground, double limit) {
  for (int attempt = 1;; ++attempt) {
    const ImpactEvidence evidence = attack_training(ground, limit);
    Finding finding = judge(evidence);
    if (finding.proof != Proof::NotProven || evidence.disturbed() < kDisturbed) {
      return finding;
    }
    if (attempt == kTries) {
      return {Proof::NotRun, "other processes kept this host busy; " + finding.sentence};
    }
  }
}

Finding judge(const ImpactEvidence& evidence) {
  if (!evidence.trouble.empty()) {
    return {Proof::NotRun, evidence.trouble};
  }
  const ImpactEstimate& impact = evidence.impact;
  const std::string numbers = fmt::format(
      "{} evaluations ran for {:.1f} of {:.0f} s; of the training's rate {:.1f} % was lost (limit "
      "{:.0f} %), the certificate: at most {:.1f} %",
      evidence.ended, impact.running_s, impact.training_s, 100 * evidence.loss(),
      100 * evidence.limit, 100 * impact.amortised.upper);
  if (evidence.rate_before <= 0 || impact.running_s <= 0) {
    return {Proof::NotRun, "no evaluation came to run beside the training; " + numbers};
  }
  if (evidence.loss() >= evidence.limit) {
    return {Proof::NotProven, "more was lost than may be; " + numbers};
  }
  if (impact.verdict != ImpactVerdict::Within) {
    return {Proof::NotProven, fmt::format("the certificate says {}: {}; {}",
                                          to_string(impact.verdict), impact.reason, numbers)};
  }
  return {Proof::Proven, numbers};
}

ImpactEvidence attack_training(ProvingGround& ground, double limit) {
  const double attacked = std::min(kMostAttacked, kTimesTheLimit * limit);
  ImpactEvidence evidence{.limit = attacked};
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
  return ImpactAttack(ground, attacked, *clock, std::move(*reader)).run();
}

}  // namespace keisei::guard
