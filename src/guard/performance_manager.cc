#include "guard/performance_manager.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/steady_timer.hpp>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/unique_fd.h"
#include "guard/admission.h"
#include "guard/background.h"
#include "guard/drive.h"
#include "guard/guarded_task.h"
#include "guard/pressure_watch.h"
#include "guard/quarantine.h"
#include "guard/tier.h"
#include "guard/training_governor.h"

namespace keisei::guard {

namespace asio = boost::asio;

namespace {

GuardedRun refused(const RunContext& context, Ending ending) {
  GuardRecord record;
  record.outcome = ending.outcome;
  record.cause = std::move(ending.cause);
  record.queue_ms = milliseconds(context.queued);
  PerformanceMetrics none;
  if (context.governor != nullptr && context.governor->has_watched()) {
    none.impact = record.impact = context.governor->estimate();
  }
  record.sla = context.sla.judge(none);
  record.profile = context.command.profile;
  record.limits = context.limits;
  record.enforcement = context.command.enforcement == Enforcement::Enabled;
  return {.record = std::move(record), .report = {}, .stderr_tail = {}};
}

/// Asio opens the descriptors of its loop when they are first needed, and throws where it cannot.
bool loop_has_descriptors(const asio::any_io_executor& executor) {
  try {
    const asio::steady_timer needs_them(executor);
    return true;
  } catch (const boost::system::system_error&) {
    return false;
  }
}

void warn_without_enforcement(const GuardedCommand& command) {
  if (command.enforcement == Enforcement::Enabled) {
    return;
  }
  const std::string warning = fmt::format(
      "keisei: enforcement is switched off: {} runs WITHOUT limits\n", command.argv.front());
  // The record says so too: that nobody can read this is no reason to end.
  (void)write_all(STDERR_FILENO, std::as_bytes(std::span(warning)));
}

}  // namespace

class EvaluationPerformanceManager::Impl {
 public:
  Impl(asio::any_io_executor executor, EvaluationLimits limits, EvaluationPerformanceSLA sla,
       std::filesystem::path slots_directory, HostView host)
      : executor_(executor),
        limits_(limits),
        sla_(sla),
        admission_(std::move(executor), {.max_concurrent = limits.max_concurrent,
                                         .queue = limits.queue,
                                         .directory = std::move(slots_directory)}),
        gpu_(std::move(host.gpu)),
        pressure_(std::move(host.pressure)),
        training_(host.training) {
    if (training_ != nullptr) {
      gpu_probe_.emplace(*training_, [this] { return gpu_.cpu_seconds(); });
    }
  }

  asio::awaitable<GuardedRun> run(GuardedCommand command, RunControl& control) {
    KEISEI_CHECK(!command.argv.empty(), "a guarded run needs a command");
    warn_without_enforcement(command);
    const EvaluationLimits limits = with_profile_defaults(limits_, command.profile);
    RunContext context{.command = std::move(command),
                       .limits = limits,
                       .sla = sla_,
                       .control = control,
                       .processes = processes_,
                       .gpu = &gpu_,
                       .cgroups = &cgroups_,
                       .governor = training_};
    std::optional<TrainingGovernor::Demand> demand;
    if (training_ != nullptr && context.enforced()) {
      demand.emplace(*training_);
    }
    if (!loop_has_descriptors(executor_)) {
      co_return refused(context, {Outcome::StartFailed, kNoDescriptor});
    }
    const MonotonicTime asked = MonotonicClock::now();
    DegradationTrail trail;
    Gate gate = pressure_gate(context.command, trail);
    std::optional<Quarantine::Watch> watch(std::in_place, quarantine_);
    Admittance admittance = co_await admission_.admit(control, std::move(gate));
    watch.reset();
    context.queued = MonotonicClock::now() - asked;
    std::vector<DegradationStep> degradation = trail.steps(MonotonicClock::now());
    GuardedRun run;
    if (admittance.permit) {
      run = co_await run_admitted({context, trail.level(), admittance.permit, demand});
    } else {
      run = refused(context, {admittance.refusal, std::move(admittance.cause)});
    }
    run.record.degradation = std::move(degradation);
    co_return run;
  }

  [[nodiscard]] const Admission& admission() const { return admission_; }

 private:
  /// Says Later while the machine is pressed, or the training has nothing to spare. Nothing where
  /// the command is not to be asked.
  Gate pressure_gate(const GuardedCommand& command, DegradationTrail& trail) {
    const bool ignores = command.pressure == PressureResponse::Ignore && training_ == nullptr;
    if (ignores || command.enforcement == Enforcement::Disabled) {
      return {};
    }
    return [this, &trail, response = command.pressure, adapts = bool(command.adapt)] {
      const MonotonicTime now = MonotonicClock::now();
      PressureVerdict verdict =
          pressure_.level(response, limits_.memory, admission_.threads(), now);
      auto longest = pressure_.host().longest_deferral;
      auto ask_again = GateAnswer{}.ask_again;
      if (training_ != nullptr && verdict.level < ServiceLevel::Deferred) {
        PressureVerdict training = training_->service();
        if (training.level > verdict.level) {
          verdict = std::move(training);
          longest = std::max<std::chrono::nanoseconds>(longest, TrainingGovernor::kLongestSaving);
          ask_again = training_->ask_again();
        }
      }
      if (!adapts && verdict.level < ServiceLevel::Deferred) {
        verdict = {};
      }
      GateAnswer answer = trail.take(verdict, longest, now);
      answer.ask_again = ask_again;
      if (training_ != nullptr && answer.go == Go::Now) {
        training_->note_admitted();
      }
      return answer;
    };
  }

  struct Admitted {
    RunContext& context;
    ServiceLevel level;
    Permit& permit;
    std::optional<TrainingGovernor::Demand>& demand;  ///< ends with the tree
  };
  asio::awaitable<GuardedRun> run_admitted(Admitted admitted) {
    RunContext& context = admitted.context;
    if (admitted.level != ServiceLevel::Full) {
      const auto adapt = context.command.adapt;
      const Result<void> adapted = co_await adapt(context.command, admitted.level);
      if (!adapted) {
        co_return refused(context, {Outcome::StartFailed, adapted.error().message});
      }
    }
    admitted.permit.compute_with(context.command.threads);
    const bool has_report = bool(context.command.report_check);
    GuardedTask task(std::move(context));
    co_await drive(executor_, task);
    admitted.demand.reset();
    if (UniqueFd survivor = task.take_survivor()) {
      quarantine_->add(std::move(survivor), std::move(admitted.permit));
    }
    if (!has_report) {
      co_return task.finish();
    }
    auto finish = [&task] { return task.finish(); };  // not a coroutine itself
    co_return co_await background_.run(std::move(finish));
  }

  const asio::any_io_executor executor_;
  const EvaluationLimits limits_;
  const EvaluationPerformanceSLA sla_;
  Admission admission_;
  const std::shared_ptr<Quarantine> quarantine_ = Quarantine::create(executor_);
  const std::shared_ptr<os::ProcessTable> processes_ = std::make_shared<os::ProcessTable>();
  os::GpuSampler gpu_;
  const CgroupRoom cgroups_ = enter_cgroup();
  PressureWatch pressure_;
  TrainingGovernor* const training_;
  std::optional<TrainingGovernor::Helpers> gpu_probe_;  // with training_
  Background background_;  // last: what it has begun ends before the rest goes
};

EvaluationPerformanceManager::EvaluationPerformanceManager(asio::any_io_executor executor,
                                                           EvaluationLimits limits,
                                                           EvaluationPerformanceSLA sla,
                                                           std::filesystem::path slots_directory,
                                                           HostView host)
    : impl_(std::make_unique<Impl>(std::move(executor), limits, sla, std::move(slots_directory),
                                   std::move(host))) {}

EvaluationPerformanceManager::~EvaluationPerformanceManager() = default;

asio::awaitable<GuardedRun> EvaluationPerformanceManager::run_evaluation_with_safeguards(
    GuardedCommand command, RunControl& control) {
  return impl_->run(std::move(command), control);
}

int EvaluationPerformanceManager::running() const { return impl_->admission().running(); }

int EvaluationPerformanceManager::queued() const { return impl_->admission().queued(); }

}  // namespace keisei::guard
