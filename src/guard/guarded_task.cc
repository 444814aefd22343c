#include "guard/guarded_task.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <type_traits>
#include <variant>

#include "base/check.h"
#include "guard/plumbing.h"
#include "guard/tier.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr auto kKillPatience = 5s;         // then the tree is in the kernel's hands: Unkillable
constexpr auto kSweepPatience = 1s;        // then the init itself is killed
constexpr auto kFirstSample = 2ms;         // most of what ends at once is never sampled
constexpr auto kGovernedInterval = 10ms;   // of the CPU limit's stop and go
constexpr auto kGpuWorthwhile = 250ms;     // loading NVML costs more than a short run
constexpr std::size_t kStderrTail = 4096;  // bytes
constexpr int kNotFound = 127;             // what a shell answers for a missing command
constexpr int kNotExecutable = 126;

Ending exec_failure(const GuardedCommand& command, int error) {
  return {Outcome::StartFailed,
          fmt::format("cannot start {}: {}", command.argv.front(), strerror(error))};
}

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>  // clang 16 does not deduce it
Overloaded(Visitors...) -> Overloaded<Visitors...>;

}  // namespace

GuardedTask::GuardedTask(Context context)
    : context_(std::move(context)),
      admitted_(MonotonicClock::now()),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      timer_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)),
      ended_(admitted_) {
  start();
}

void GuardedTask::start() {
  const GuardedCommand& command = context_.command;
  if (!epoll_ || !timer_ || context_.control.event_fd() < 0) {
    return give_up(kNoDescriptor);
  }
  Result<Plumbing> plumbing = plumb(command);
  if (!plumbing) {
    return give_up(plumbing.error().message);
  }
  Result<os::Jail> jail = os::Jail::launch({.argv = command.argv,
                                            .environment = command.environment,
                                            .fds = plumbing->fds,
                                            .jail = jail_spec(command, context_.limits)});
  if (!jail) {
    return give_up(jail.error().message);
  }
  jail_.emplace(std::move(*jail));
  containment_ = jail_->containment();
  report_ = Drain(std::move(plumbing->report), Drain::Keep::Head,
                  static_cast<std::size_t>(command.report_limit.count));
  stderr_ = Drain(std::move(plumbing->stderr_pipe), Drain::Keep::Tail, kStderrTail);

  ResourceMonitor::Options options{
      .root = jail_->init_pid(),
      .memory_limit = context_.limits.memory,
      .descriptors_must_be_readable = command.profile == Profile::Worker,
      .shared_inodes = sealed_inodes(command.fds)};
  monitor_.emplace(view_, std::move(options));
  if (context_.limits.cpu_percent && enforced()) {
    governor_.emplace(*context_.limits.cpu_percent, admitted_);
  }
  // stderr is read with the samples: a flood then costs its writer, not this process.
  for (const int fd : {timer_.get(), jail_->control_fd(), jail_->pidfd(), report_.fd(),
                       context_.control.event_fd()}) {
    if (!watch(fd)) {
      return give_up(fmt::format("watching a run: epoll_ctl: {}", strerror(errno)));
    }
  }
  next_sample_ = admitted_ + kFirstSample;
  step();
}

void GuardedTask::give_up(const std::string& why) {
  start_failure_ = Ending{Outcome::StartFailed, why};
  jail_.reset();
  done_ = true;
}

bool GuardedTask::watch(int fd) {
  epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
  return fd < 0 || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void GuardedTask::arm(MonotonicTime next) {
  // steady_clock is CLOCK_MONOTONIC. A new setting also takes back an expiry that nobody read.
  const auto since_boot = std::max(next.time_since_epoch(), std::chrono::nanoseconds(1));
  itimerspec setting = {};
  setting.it_value.tv_sec = since_boot / 1s;
  setting.it_value.tv_nsec = (since_boot % 1s).count();
  KEISEI_CHECK(timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &setting, nullptr) == 0,
               "timerfd_settime: {}", strerror(errno));
}

void GuardedTask::step() {
  if (done_) {
    return;
  }
  const MonotonicTime now = MonotonicClock::now();
  hear_jail(now);
  report_.read_available();
  if (report_.overflowed()) {
    decide(now, {Outcome::BadReport, fmt::format("its report is larger than {}",
                                                 to_string(context_.command.report_limit))});
  }
  hear_caller(now);
  if (now >= std::min(next_sample_, deadline())) {
    stderr_.read_available();
    if (!ending_since_) {
      look(now);
    }
    next_sample_ = now + sample_interval(now);
  }
  check_end(now);
  if (!done_) {
    arm(next_wake());
  }
}

std::chrono::nanoseconds GuardedTask::sample_interval(MonotonicTime now) const {
  // Denser at first, so that a short run has a peak too.
  std::chrono::nanoseconds interval = std::min(
      monitor_->next_interval(), std::max<std::chrono::nanoseconds>(kFirstSample, now - admitted_));
  if (governor_) {
    interval = std::min<std::chrono::nanoseconds>(interval, kGovernedInterval);
  }
  return interval;
}

MonotonicTime GuardedTask::deadline() const {
  return enforced() ? admitted_ + context_.limits.timeout : MonotonicTime::max();
}

MonotonicTime GuardedTask::next_wake() const {
  if (ending_since_) {
    return *ending_since_ + (last_resort_ || containment_ != os::Containment::Sweep
                                 ? std::chrono::nanoseconds(kKillPatience)
                                 : std::chrono::nanoseconds(kSweepPatience));
  }
  return std::min(next_sample_, deadline());
}

void GuardedTask::hear_jail(MonotonicTime now) {
  bool open = true;
  while (open) {
    const std::optional<os::JailEvent> event = jail_->receive();
    if (!event) {
      return;
    }
    std::visit(Overloaded{[&](const os::JailSetupFailed& failure) {
                            start_failure_ =
                                Ending{Outcome::StartFailed,
                                       fmt::format("setting up the jail: {}: {}", failure.step,
                                                   strerror(failure.error_number))};
                          },
                          [&](const os::JailExecFailed& failure) {
                            start_failure_ = exec_failure(context_.command, failure.error_number);
                            const bool missing =
                                failure.error_number == ENOENT || failure.error_number == ENOTDIR;
                            exit_ = os::ExitStatus{.code = missing ? kNotFound : kNotExecutable,
                                                   .signal = std::nullopt};
                          },
                          [&](const os::JailMainExited& exited) {
                            if (!start_failure_) {
                              exit_ = exited.status;
                            }
                            if (!ending_since_) {
                              ending_since_ = now;
                              ended_ = now;
                            }
                          },
                          [&](const os::JailClosed&) {
                            epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, jail_->control_fd(), nullptr);
                            open = false;
                          }},
               *event);
  }
}

void GuardedTask::hear_caller(MonotonicTime now) {
  for (const int signal : context_.control.take_signals()) {
    jail_->signal_main(signal);
  }
  if (const auto& cancel = context_.control.cancel_request()) {
    decide(now, {cancel->reason, cancel->cause});
  }
}

void GuardedTask::look(MonotonicTime now) {
  const ResourceSample sample = monitor_->sample(now);
  const std::chrono::nanoseconds elapsed = now - admitted_;
  if (context_.gpu != nullptr && elapsed > kGpuWorthwhile) {
    monitor_->note_gpu(context_.gpu->latest());
  }
  if (!enforced()) {
    return;
  }
  breach_ = enforce_resource_limits(sample, context_.limits, elapsed);
  if (breach_) {
    decide(now, {breach_->outcome, breach_->message});
  } else if (governor_) {
    govern_cpu(now, sample.cpu_seconds);
  }
}

void GuardedTask::govern_cpu(MonotonicTime now, double cpu_seconds) {
  const bool may_run = governor_->may_run(now, cpu_seconds);
  if (may_run && paused_since_) {
    resume(now);
  } else if (!may_run && (!paused_since_ || cpu_seconds > cpu_when_paused_)) {
    // Again where it went on: a newborn may have missed the signal.
    jail_->signal_tree(SIGSTOP);
    cpu_when_paused_ = cpu_seconds;
    paused_since_ = paused_since_.value_or(now);
  }
}

void GuardedTask::resume(MonotonicTime now) {
  jail_->signal_tree(SIGCONT);
  paused_ += now - *paused_since_;
  paused_since_.reset();
}

void GuardedTask::decide(MonotonicTime now, Ending ending) {
  if (ending_since_) {
    return;
  }
  decided_ = std::move(ending);
  ending_since_ = now;
  ended_ = now;
  jail_->kill_tree(monitor_->members());
}

void GuardedTask::check_end(MonotonicTime now) {
  usage_ = jail_->reap();
  if (usage_) {
    if (decided_) {
      kill_ms_ = milliseconds(MonotonicClock::now() - *ending_since_);
    }
    if (!ending_since_) {
      ended_ = now;
    }
    hear_jail(now);  // its last words
    report_.read_rest();
    stderr_.read_rest();
    done_ = true;
    return;
  }
  if (!ending_since_) {
    return;
  }
  const std::chrono::nanoseconds waited = now - *ending_since_;
  if (waited >= kKillPatience) {
    decided_ = Ending{Outcome::Unkillable,
                      fmt::format("still there {} after SIGKILL{}",
                                  keisei::to_string(std::chrono::nanoseconds(kKillPatience)),
                                  decided_ ? "; it was to end because: " + decided_->cause : "")};
    exit_.reset();
    jail_->abandon();
    done_ = true;
  } else if (!last_resort_ && waited >= kSweepPatience && containment_ == os::Containment::Sweep) {
    last_resort_ = true;
    jail_->kill_init();
  }
}

Ending GuardedTask::name_ending() const {
  EndFacts facts{.profile = context_.command.profile,
                 .decided = decided_,
                 .start_failure = start_failure_,
                 .exit = exit_,
                 .sampled_peak = std::nullopt,
                 .largest_process = {},
                 .memory_limit = std::nullopt,
                 .wants_report = context_.command.report_fd.has_value(),
                 .report = report_.text(),
                 .stderr_tail = stderr_.text()};
  if (monitor_) {
    facts.sampled_peak = monitor_->metrics().peak_memory;
  }
  if (usage_) {  // the kernel's own high-water mark misses nothing between two samples
    facts.largest_process = usage_->largest_rss - monitor_->metrics().peak_file_backed;
  }
  if (enforced()) {
    facts.memory_limit = context_.limits.memory;
  }
  if (report_.overflowed()) {
    return decided_.value_or(Ending{Outcome::BadReport, "its report is too large"});
  }
  Ending ending = classify(facts);
  if (ending.outcome == Outcome::Finished && context_.command.report_check) {
    const Result<void> accepted = context_.command.report_check(report_.text());
    if (!accepted) {
      ending = {Outcome::BadReport, accepted.error().message};
    }
  }
  return ending;
}

PerformanceMetrics GuardedTask::final_metrics() const {
  PerformanceMetrics metrics = monitor_ ? monitor_->metrics() : PerformanceMetrics{};
  if (usage_) {
    // A killed init's account lacks its children; a short run has no sample.
    metrics.cpu_seconds = std::max(metrics.cpu_seconds, usage_->cpu_seconds);
    if (!metrics.peak_memory) {  // it ended before the first sample
      metrics.peak_memory = usage_->largest_rss;
    }
    metrics.max_processes = std::max(metrics.max_processes, 1);
    metrics.max_threads = std::max(metrics.max_threads, 1);
  }
  if (!start_failure_) {
    metrics.latency_ms = milliseconds(ended_ - admitted_);
  }
  return metrics;
}

GuardedRun GuardedTask::finish() {
  KEISEI_CHECK(done_, "a run is finished before its end");
  if (paused_since_) {
    paused_ += ended_ - *paused_since_;
  }
  const PerformanceMetrics metrics = final_metrics();
  const Ending ending = name_ending();
  GuardRecord record;
  record.outcome = ending.outcome;
  record.cause = ending.cause;
  if (exit_) {
    record.exit = {.code = exit_->code, .signal = exit_->signal};
  }
  record.breach = breach_;
  record.latency_ms = metrics.latency_ms.value_or(0);
  record.queue_ms = milliseconds(context_.queued);
  record.paused_ms = milliseconds(paused_);
  record.peak_memory = metrics.peak_memory.value_or(Bytes{});
  record.cpu_seconds = metrics.cpu_seconds;
  record.max_processes = metrics.max_processes;
  record.max_threads = metrics.max_threads;
  record.kill_ms = kill_ms_;
  if (metrics.gpu) {
    record.gpu =
        GpuRecord{.utilization_percent = metrics.gpu->utilization_percent, .device_wide = true};
  }
  record.sla = context_.sla.judge(metrics, ending.outcome);
  record.profile = context_.command.profile;
  record.tier = describe_tier(context_.command, context_.limits, containment_);
  record.limits = context_.limits;
  record.enforcement = enforced();
  return {.record = std::move(record),
          .report = report_.take_text(),
          .stderr_tail = stderr_.take_text()};
}

}  // namespace keisei::guard
