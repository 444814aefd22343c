#include "guard/performance_manager.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <span>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/unique_fd.h"
#include "guard/admission.h"
#include "guard/guarded_task.h"
#include "guard/tier.h"

namespace keisei::guard {

namespace asio = boost::asio;

namespace {

GuardedRun refused(const RunContext& context, const Admittance& admittance) {
  GuardRecord record;
  record.outcome = admittance.refusal;
  record.cause = admittance.cause;
  record.queue_ms = milliseconds(context.queued);
  record.sla = context.sla.judge({});
  record.profile = context.command.profile;
  record.limits = context.limits;
  record.enforcement = context.command.enforcement == Enforcement::Enabled;
  return {.record = std::move(record), .report = {}, .stderr_tail = {}};
}

/// Drives the task to its end.
asio::awaitable<void> drive(asio::any_io_executor executor, GuardedTask& task) {
  if (task.done()) {
    co_return;
  }
  // Its own descriptor for the same epoll, because Asio closes what it is given.
  UniqueFd own(fcntl(task.wait_fd(), F_DUPFD_CLOEXEC, 0));
  if (!own) {
    co_return task.give_up(kNoDescriptor);
  }
  asio::posix::stream_descriptor wake(executor);
  boost::system::error_code refused;
  wake.assign(own.get(), refused);
  if (refused) {
    co_return task.give_up("watching a run: " + refused.message());
  }
  (void)own.release();
  while (!task.done()) {
    boost::system::error_code ignored;  // step() looks for itself
    co_await wake.async_wait(asio::posix::descriptor_base::wait_read,
                             asio::redirect_error(asio::use_awaitable, ignored));
    task.step();
  }
}

}  // namespace

class EvaluationPerformanceManager::Impl {
 public:
  Impl(asio::any_io_executor executor, EvaluationLimits limits, EvaluationPerformanceSLA sla,
       std::filesystem::path slots_directory)
      : executor_(executor),
        limits_(limits),
        sla_(sla),
        admission_(std::move(executor), {.max_concurrent = limits.max_concurrent,
                                         .queue = limits.queue,
                                         .directory = std::move(slots_directory)}) {}

  asio::awaitable<GuardedRun> run(GuardedCommand command, RunControl& control) {
    KEISEI_CHECK(!command.argv.empty(), "a guarded run needs a command");
    if (command.enforcement == Enforcement::Disabled) {
      const std::string warning = fmt::format(
          "keisei: enforcement is switched off: {} runs WITHOUT limits\n", command.argv.front());
      // The record says so too: that nobody can read this is no reason to end.
      (void)write_all(STDERR_FILENO, std::as_bytes(std::span(warning)));
    }
    const MonotonicTime asked = MonotonicClock::now();
    const Admittance admittance = co_await admission_.admit(control);
    const Profile profile = command.profile;
    RunContext context{.command = std::move(command),
                       .limits = with_profile_defaults(limits_, profile),
                       .sla = sla_,
                       .control = control,
                       .gpu = &gpu_,
                       .cgroups = &cgroups_,
                       .queued = MonotonicClock::now() - asked};
    if (!admittance.permit) {
      co_return refused(context, admittance);
    }
    GuardedTask task(std::move(context));
    co_await drive(executor_, task);
    co_return task.finish();
  }

  [[nodiscard]] const Admission& admission() const { return admission_; }

 private:
  const asio::any_io_executor executor_;
  const EvaluationLimits limits_;
  const EvaluationPerformanceSLA sla_;
  Admission admission_;
  os::GpuSampler gpu_;
  const CgroupRoom cgroups_ = enter_cgroup();
};

EvaluationPerformanceManager::EvaluationPerformanceManager(asio::any_io_executor executor,
                                                           EvaluationLimits limits,
                                                           EvaluationPerformanceSLA sla,
                                                           std::filesystem::path slots_directory)
    : impl_(std::make_unique<Impl>(std::move(executor), limits, sla, std::move(slots_directory))) {}

EvaluationPerformanceManager::~EvaluationPerformanceManager() = default;

asio::awaitable<GuardedRun> EvaluationPerformanceManager::run_evaluation_with_safeguards(
    GuardedCommand command, RunControl& control) {
  return impl_->run(std::move(command), control);
}

int EvaluationPerformanceManager::running() const { return impl_->admission().running(); }

int EvaluationPerformanceManager::queued() const { return impl_->admission().queued(); }

}  // namespace keisei::guard
