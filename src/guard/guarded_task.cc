#include "guard/guarded_task.h"

#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <thread>
#include <utility>
#include <variant>

#include "base/check.h"
#include "guard/caller_orders.h"
#include "guard/plumbing.h"
#include "guard/tier.h"
#include "os/mapped_files.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr auto kFirstSample = 2ms;         // most of what ends at once is never sampled
constexpr auto kGovernedInterval = 10ms;   // of the CPU limit's stop and go
constexpr std::size_t kFewProcesses = 16;  // whose account delays no kill
constexpr auto kGpuWorthwhile = 250ms;     // asking costs more than a short run
constexpr std::size_t kStderrTail = 4096;  // bytes

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>  // clang 16 does not deduce it
Overloaded(Visitors...) -> Overloaded<Visitors...>;

}  // namespace

GuardedTask::GuardedTask(RunContext context)
    : context_(std::move(context)),
      view_(*context_.processes),
      cgroup_(context_.cgroups, context_.command, context_.limits),
      share_(context_.command, cgroup_) {
  facts_.admitted = MonotonicClock::now();
  facts_.ended = facts_.admitted;
  start();
}

void GuardedTask::start() {
  const GuardedCommand& command = context_.command;
  if (wake_.fd() < 0 || context_.control.event_fd() < 0) {
    return give_up(kNoDescriptor);
  }
  Result<Plumbing> plumbing = plumb(command);
  if (!plumbing) {
    return give_up(plumbing.error().message);
  }
  const bool bounded = command.profile == Profile::Worker && !cgroup_.holds_memory() &&
                       !os::can_measure_mapped_files();
  const std::optional<Bytes> host = bounded ? view_.shared_memory_of_host() : std::nullopt;
  Result<os::Jail> jail = os::Jail::launch({.argv = command.argv,
                                            .environment = command.environment,
                                            .fds = plumbing->fds,
                                            .cgroup_fd = cgroup_.directory_fd(),
                                            .jail = specify_jail()});
  if (!jail) {
    return give_up(jail.error().message);
  }
  jail_.emplace(std::move(*jail));
  facts_.hold = jail_->hold();
  report_ = Drain(std::move(plumbing->report), Drain::Keep::Head,
                  static_cast<std::size_t>(command.report_limit.count));
  stderr_ = Drain(std::move(plumbing->stderr_pipe), Drain::Keep::Tail, kStderrTail);

  watch_tree(host);
  if (context_.enforced()) {
    soft_limits_.emplace(context_.limits, std::move(plumbing->warning));
  }
  // stderr is read with the samples: a flood then costs its writer, not this process.
  for (const int fd :
       {jail_->control_fd(), jail_->pidfd(), report_.fd(), context_.control.event_fd()}) {
    if (!wake_.watch(fd)) {
      return give_up(fmt::format("watching a run: epoll_ctl: {}", strerror(errno)));
    }
  }
  next_sample_ = facts_.admitted + kFirstSample;
  if (context_.governor != nullptr && context_.enforced()) {
    share_.follow_training(true);
    attachment_.emplace(*context_.governor, *this);
  } else if (context_.governor != nullptr) {
    attachment_.emplace(*context_.governor);
  }
  hear_jail(facts_.admitted);  // what came while it was launched wakes nobody
  step(Wake::ByDescriptor);
}

os::JailSpec GuardedTask::specify_jail() {
  os::JailSpec spec = jail_spec(context_.command, context_.limits);
  share_.specify(spec);
  return spec;
}

/// `host_shared_memory`: before the launch, where it is needed.
void GuardedTask::watch_tree(std::optional<Bytes> host_shared_memory) {
  const GuardedCommand& command = context_.command;
  const bool governed = context_.limits.cpu_percent && context_.enforced() && !cgroup_.holds_cpu();
  ResourceMonitor::Options options{.root = jail_->init_pid(),
                                   .memory_limit = context_.limits.memory,
                                   .worker = command.profile == Profile::Worker,
                                   .processors = std::thread::hardware_concurrency(),
                                   .kernel_holds_memory = cgroup_.holds_memory(),
                                   .host_shared_memory = host_shared_memory,
                                   .shared_files = sealed_files(command.fds)};
  if (governed) {
    options.account_rest = {};
    share_.limit_cpu(*context_.limits.cpu_percent, facts_.admitted);
  }
  if (context_.enforced()) {
    options.stop_to_count = [this] { return share_.stop_to_count(*jail_); };
    options.go_on = [this](std::chrono::nanoseconds lease) { share_.go_on(*jail_, lease); };
  }
  monitor_.emplace(view_, std::move(options));
}

void GuardedTask::be_done() {
  done_ = true;
  if (context_.governor != nullptr) {
    facts_.impact = context_.governor->estimate();
    share_.follow_training(false);
    attachment_.reset();
  }
}

void GuardedTask::give_up(const std::string& why) {
  facts_.start_failure = Ending{Outcome::StartFailed, why};
  be_done();
  jail_.reset();
}

void GuardedTask::step(Wake wake) {
  if (done_) {
    return;
  }
  const MonotonicTime now = MonotonicClock::now();
  // Who ends in time must not be timed out because the guard comes late: at the end all is asked.
  const bool only_sample = wake == Wake::ByTime && !ending_ && now < deadline();
  const WakeSet::Ready ready = only_sample ? WakeSet::Ready() : wake_.ready();
  if (ready.has(jail_->control_fd())) {
    hear_jail(now);
  }
  if (ready.has(report_.fd())) {
    hear_report(now);
  }
  if (ready.has(context_.control.event_fd())) {
    hear_caller(now);
  }
  if (now >= std::min(next_sample_, deadline())) {
    if (!ending_) {
      look(now);
    }
    if (ending_ || !monitor_->still()) {
      stderr_.read_available();
    }
    next_sample_ = next_common_instant(now, sample_interval(now));
  }
  if (ready.has(jail_->pidfd())) {
    conclude(now);
  } else {
    check_end(now);
  }
}

std::chrono::nanoseconds GuardedTask::sample_interval(MonotonicTime now) const {
  // Denser at first, so that a short run has a peak too.
  std::chrono::nanoseconds interval =
      std::min(monitor_->next_interval(),
               std::max<std::chrono::nanoseconds>(kFirstSample, now - facts_.admitted));
  if (share_.has_cpu_limit()) {
    interval = std::min<std::chrono::nanoseconds>(interval, kGovernedInterval);
  }
  return interval;
}

MonotonicTime GuardedTask::deadline() const {
  return context_.enforced() ? facts_.admitted + context_.limits.timeout : MonotonicTime::max();
}

MonotonicTime GuardedTask::next_wake() const {
  if (ending_) {
    return std::min(ending_->wake(),
                    share_.next_lift(MonotonicClock::now()).value_or(MonotonicTime::max()));
  }
  return std::min(next_sample_, deadline());
}

void GuardedTask::hear_jail(MonotonicTime now) {
  bool closed = false;
  while (const std::optional<os::JailEvent> event = closed ? std::nullopt : jail_->receive()) {
    hear(*event, now);
    closed = std::holds_alternative<os::JailClosed>(*event);
  }
  cgroup_.note_mechanisms(jail_->hold().mechanisms);
}

void GuardedTask::hear(const os::JailEvent& event, MonotonicTime now) {
  const auto setup_failed = [&](const os::JailSetupFailed& failure) {
    facts_.start_failure = Ending{
        Outcome::StartFailed,
        fmt::format("setting up the jail: {}: {}", failure.step, strerror(failure.error_number))};
  };
  const auto exec_failed = [&](const os::JailExecFailed& failure) {
    facts_.start_failure = exec_failure(context_.command.argv.front(), failure.error_number);
    facts_.exit = status_of_exec_failure(failure.error_number);
  };
  const auto main_exited = [&](const os::JailMainExited& exited) {
    if (!facts_.start_failure) {
      facts_.exit = exited.status;
    }
    monitor_->account();  // the last look at what its init has counted
    begin_ending(now);
  };
  const auto main_stopped = [&](const os::JailMainStopped& stopped) {
    if (stopped.signal != SIGSTOP || !share_.is_paced()) {
      context_.control.note_stopped(stopped.signal);
    }
  };
  const auto closed = [&](const os::JailClosed&) { wake_.forget(jail_->control_fd()); };
  std::visit(Overloaded{setup_failed, exec_failed, main_exited, main_stopped, closed}, event);
}

void GuardedTask::hear_report(MonotonicTime now) {
  report_.read_available();
  if (report_.overflowed()) {
    decide(now, Outcome::BadReport, [this] {
      return fmt::format("its report is larger than {}", to_string(context_.command.report_limit));
    });
  }
}

void GuardedTask::hear_caller(MonotonicTime now) {
  carry_out_orders(context_.control, *jail_, share_);
  if (const auto& cancel = context_.control.cancel_request()) {
    decide(now, cancel->reason, [&cancel] { return cancel->cause; });
  }
}

/// The jail hands it over when it has made it.
void GuardedTask::watch_scratch() {
  struct stat root = {};
  if (!scratch_watched_ && jail_->scratch_fd() >= 0 && fstat(jail_->scratch_fd(), &root) == 0) {
    monitor_->watch_scratch({.fd = jail_->scratch_fd(), .device = root.st_dev});
    scratch_watched_ = true;
  }
}

void GuardedTask::look(MonotonicTime now) {
  watch_scratch();
  share_.go_on_at_last(*jail_);
  const ResourceSample sample = monitor_->sample(now);
  const std::chrono::nanoseconds elapsed = now - facts_.admitted;
  if (context_.gpu != nullptr && elapsed > kGpuWorthwhile) {
    monitor_->note_gpu(*context_.gpu, now);
  }
  if (!context_.enforced()) {
    return;
  }
  facts_.breach = enforce_resource_limits(sample, context_.limits, elapsed);
  if (facts_.breach) {
    decide(now, facts_.breach->outcome, [this] { return facts_.breach->message(); });
    return;
  }
  if (sample.memory >= os::kMuchMemory) {
    jail_->prepare_to_kill();
  }
  soft_limits_->look(sample, elapsed);
  govern(now, sample.cpu_seconds);
}

void GuardedTask::govern(MonotonicTime now, double cpu_seconds) {
  if (share_.is_paced() && !context_.control.suspended() && !ending_ && !done_) {
    share_.apply(*jail_, monitor_->members(), cpu_seconds, now);
  }
}

void GuardedTask::pace(Pace pace) {
  share_.allow(pace);
  if (jail_ && !done_) {
    govern(MonotonicClock::now(), monitor_->metrics().cpu_seconds);
  }
}

double GuardedTask::cpu_seconds() {
  if (!monitor_) {
    return 0;
  }
  if (!done_ && !ending_) {
    monitor_->account();
  }
  return monitor_->metrics().cpu_seconds;
}

void GuardedTask::end_for(Ending ending) {
  decide(MonotonicClock::now(), ending.outcome, [&ending] { return ending.cause; });
}

void GuardedTask::decide(MonotonicTime now, Outcome outcome,
                         const std::function<std::string()>& cause) {
  if (ending_) {
    return;
  }
  begin_ending(now);
  kill_all();
  facts_.decided = Ending{outcome, cause()};
}

void GuardedTask::kill_all() {
  std::vector<pid_t> members;
  try {
    if (monitor_->members().size() <= kFewProcesses) {
      monitor_->account();
    }
    members = monitor_->largest_members(os::kMostCondemned);
  } catch (const std::bad_alloc&) {
    // They die with their init.
  }
  const bool lifted = share_.lift_to_die(members);
  jail_->kill_tree(members, lifted);
  if (jail_->containment() != os::Containment::Sweep) {
    cgroup_.kill();  // elsewhere its init is needed, for what may have left the cgroup
  }
}

void GuardedTask::begin_ending(MonotonicTime now) {
  if (!ending_) {
    share_.begin_ending();
    ending_.emplace(jail_->containment(), now);
    facts_.ended = now;
  }
}

/// The tree is gone.
void GuardedTask::conclude(MonotonicTime now) {
  hear_jail(now);       // its last words
  monitor_->account();  // of a dead init everybody may ask, and it has what its tree did
  facts_.usage = jail_->reap();
  if (facts_.decided) {
    facts_.kill_ms = milliseconds(MonotonicClock::now() - ending_->since());
  }
  begin_ending(now);
  report_.read_rest();
  stderr_.read_rest();
  be_done();
}

void GuardedTask::check_end(MonotonicTime now) {
  if (!ending_) {
    return;
  }
  share_.lift(monitor_->members());  // until it is done
  switch (ending_->next(now)) {
    case LastResorts::Act::Wait:
      return;
    case LastResorts::Act::RouseInit:
      jail_->rouse_init();
      return;
    case LastResorts::Act::GiveUp:
      give_tree_up();
      return;
  }
}

void GuardedTask::give_tree_up() {
  const std::string why = facts_.decided ? "; it was to end because: " + facts_.decided->cause : "";
  facts_.decided =
      Ending{Outcome::Unkillable,
             fmt::format("still there {} after SIGKILL; its slot stays taken until it is gone{}",
                         keisei::to_string(MonotonicClock::now() - ending_->since()), why)};
  facts_.exit.reset();
  survivor_ = jail_->abandon();
  be_done();
}

GuardedRun GuardedTask::finish() {
  KEISEI_CHECK(done_, "a run is finished before its end");
  facts_.paused = share_.paused(facts_.ended);
  if (monitor_) {
    facts_.metrics = monitor_->metrics();
  }
  if (soft_limits_) {
    facts_.memory_warning = soft_limits_->memory();
    facts_.timeout_warning = soft_limits_->timeout();
  }
  if (jail_) {
    facts_.hold = jail_->hold();  // the jail has told by now what its mechanisms are
  }
  facts_.report_overflowed = report_.overflowed();
  facts_.report = report_.take_text();
  facts_.stderr_tail = stderr_.take_text();
  facts_.cgroup = cgroup_.close();
  return account_for(context_, std::move(facts_));
}

}  // namespace keisei::guard
