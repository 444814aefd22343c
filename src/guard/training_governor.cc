#include "guard/training_governor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/units.h"
#include "os/procfs.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr double kMostSaved = 2.5;     // seconds of credit that an admission waits for at most
constexpr double kFewerGames = 0.25;   // share of the cost of an evaluation with fewer games
constexpr double kLongWait = 30;       // seconds; rather a smaller one now
constexpr auto kAskAgain = 250ms;      // for credit
constexpr auto kAskForSlot = 20ms;     // of whoever waits for nothing else
constexpr auto kAskForCredit = 100ms;  // each costs a wake-up, and credit takes seconds
constexpr auto kAsksOften = 250ms;     // whoever waits has asked within
constexpr auto kReadyFor = 2s;         // to start, once there is credit for it
constexpr auto kStopsWithin = 50ms;
constexpr auto kReportRead = 500ms;     // after a tree has gone
constexpr double kViolationCpu = 0.02;  // CPU seconds used while stopped, of who is to blame

double ticks_per_second() {
  static const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  return ticks;
}

std::string read_start(int fd) {
  std::array<char, 1024> buffer{};
  const ssize_t got = fd >= 0 ? ::pread(fd, buffer.data(), buffer.size(), 0) : -1;
  return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
}

double own_process_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto to_seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return to_seconds(usage.ru_utime) + to_seconds(usage.ru_stime);
}

double own_thread_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  if (::getrandom(&seed, sizeof seed, 0) != sizeof seed) {
    seed = static_cast<std::uint64_t>(MonotonicClock::now().time_since_epoch().count());
  }
  return seed >> 2U;  // a database's integer
}

TrainingGovernor::TrainingGovernor(const boost::asio::any_io_executor& executor, Options options)
    : options_(std::move(options)),
      controller_({.limit = options_.limit,
                   .seed = options_.seed,
                   .supervision = options_.supervision,
                   .always_slack = options_.always_slack,
                   .slack_loss = options_.slack_loss}),
      timer_(executor),
      machine_(::open("/proc/stat", O_RDONLY | O_CLOEXEC)) {}

TrainingGovernor::~TrainingGovernor() { *alive_ = false; }

void TrainingGovernor::begin_watching(std::optional<pid_t> trainer) {
  trainer_.reset();
  if (trainer && *trainer != ::getpid()) {
    trainer_.emplace(TrainerFamily::Roots{.trainer = *trainer, .guard = ::getpid()});
  }
  released_ = false;
  watching_ = true;
  look_soon();
}

void TrainingGovernor::watch(telemetry::StepClockReader clock, std::optional<pid_t> process) {
  const pid_t trainer = process.value_or(clock.writer_pid());
  clock_ = std::move(clock);
  unproven_because_.clear();
  begin_watching(trainer);
}

void TrainingGovernor::watch_without_progress(std::optional<pid_t> trainer, std::string why) {
  clock_.reset();
  unproven_because_ = std::move(why);
  begin_watching(trainer);
}

void TrainingGovernor::lose_clock() {
  clock_.reset();
  unproven_because_ = "the training's progress cannot be read any more";
}

void TrainingGovernor::release() {
  released_ = true;
  stop();
  for (const Watched& watched : trees_) {
    watched.tree->pace(Pace::Burst);
  }
}

void TrainingGovernor::stop() {
  if (std::exchange(watching_, false)) {
    controller_.finish(observe());
    take_frames();
  }
  load_.stop();
  timer_.cancel();
}

void TrainingGovernor::change_demand(int by) {
  demand_ += by;
  starting_ = std::min(starting_, demand_ - static_cast<int>(trees_.size()));
  look_soon();
}

void TrainingGovernor::change_unpaced(int by) {
  unpaced_ += by;
  was_unpaced_ = true;
  look_soon();
}

void TrainingGovernor::note_admitted() {
  if (watching_) {
    ++starting_;
    ready_.reset();
  }
}

void TrainingGovernor::attach(PacedTree& tree) {
  trees_.push_back({.tree = &tree});
  starting_ = std::max(0, starting_ - 1);
  controller_.note_start();
  tree.pace(current_pace());
}

void TrainingGovernor::detach(PacedTree& tree) {
  const auto found = std::ranges::find(trees_, &tree, &Watched::tree);
  if (found != trees_.end()) {
    ended_cpu_ += tree.cpu_seconds();
    trees_.erase(found);
    busy_until_ = MonotonicClock::now() + kReportRead;
    controller_.note_end();
    look_soon();
  }
}

Pace TrainingGovernor::current_pace() const {
  if (released_ || !watching_) {
    return Pace::Burst;
  }
  return !order_.run ? Pace::Stop : order_.burst ? Pace::Burst : Pace::Slack;
}

/// What is to be saved before one more starts, so that it comes to its end without a pause for
/// want of credit.
double TrainingGovernor::needed_credit() const {
  const auto beside = static_cast<double>(trees_.size());
  return std::min(kMostSaved, (1 + beside) * controller_.predicted_charge());
}

/// Full, fewer games, or Deferred by the credit alone.
ServiceLevel TrainingGovernor::affordable_level() const {
  const double needed = needed_credit();
  if (controller_.credit() >= needed) {
    return ServiceLevel::Full;
  }
  const bool soon = controller_.seconds_until(needed) < kLongWait;
  return !soon && controller_.credit() >= kFewerGames * needed ? ServiceLevel::FewerGames
                                                               : ServiceLevel::Deferred;
}

void TrainingGovernor::make_ready(MonotonicTime now) {
  const bool waits = asked_ && now - *asked_ < kAsksOften;
  if (!waits || (ready_ && now - ready_since_ > kReadyFor)) {
    ready_.reset();
  }
  const bool gives_way = controller_.load_is_due() && trees_.empty() && starting_ == 0;
  if (waits && !ready_ && !gives_way) {
    if (const ServiceLevel level = affordable_level(); level != ServiceLevel::Deferred) {
      ready_ = level;
      ready_since_ = now;
    }
  }
}

/// Only where nothing is at work that may turn out to have cost less, and at the pace at which the
/// first credit comes.
bool TrainingGovernor::is_beyond_earning() const {
  const double soonest =
      ImpactBudget::kSteady * controller_.seconds_until(kFewerGames * needed_credit());
  return trees_.empty() && starting_ == 0 && soonest > seconds(kLongestSaving);
}

PressureVerdict TrainingGovernor::service() {
  PressureVerdict verdict = service_now();
  deferral_ = verdict.level < ServiceLevel::Deferred ? "" : verdict.cause;
  return verdict;
}

PressureVerdict TrainingGovernor::service_now() {
  if (released_ || !watching_) {
    return {};
  }
  const MonotonicTime now = MonotonicClock::now();
  const std::optional<MonotonicTime> before = std::exchange(asked_, now);
  if (!before || now - *before >= kAsksOften) {
    look_soon();  // a new waiter: the next look may be seconds away
  }
  const std::string saved = fmt::format(
      "training impact: {:.2f} s of training may still be lost, an evaluation may take {:.2f} s",
      controller_.credit(), needed_credit());
  if (!ready_ && is_beyond_earning()) {
    return {ServiceLevel::Rejected, fmt::format("{} of it, and that is not earned within {}", saved,
                                                keisei::to_string(kLongestSaving))};
  }
  if (!ready_) {
    return {ServiceLevel::Deferred, saved + " of it"};
  }
  if (!order_.run) {
    return {ServiceLevel::Deferred, "training impact: it starts when its slot comes"};
  }
  return {*ready_, *ready_ == ServiceLevel::Full ? "" : saved + " of it"};
}

std::chrono::nanoseconds TrainingGovernor::ask_again() const {
  return ready_ || affordable_level() != ServiceLevel::Deferred ? kAskForSlot : kAskForCredit;
}

double TrainingGovernor::own_cpu() const {
  double sum = ended_cpu_;
  for (const Watched& watched : trees_) {
    sum += watched.tree->cpu_seconds();
  }
  return sum;
}

/// What cannot be told stays 0.
void TrainingGovernor::read_cpu(ImpactObservation& seen) {
  const double own = own_cpu();
  const double load = load_.cpu_seconds();
  const double process = own_process_seconds();
  const double helpers = helpers_cpu_ + (helpers_ ? helpers_() : 0);
  seen.own_cpu = own + load;
  const bool at_work = !trees_.empty() || starting_ > 0 || seen.unpaced || seen.now < busy_until_;
  watching_account_.take(
      {.process = process, .load = load, .looks = looks_cpu_, .helpers = helpers},
      std::exchange(was_at_work_, at_work) || at_work);
  seen.watching_cpu = watching_account_.used();
  const std::optional<double> busy =
      os::parse_busy_seconds(read_start(machine_.get()), ticks_per_second());
  if (busy && trainer_) {
    seen.trainer_cpu = trainer_->cpu_seconds(seen.now);
    seen.others_cpu = *busy - own - process - helpers - seen.trainer_cpu;
  }
}

ImpactObservation TrainingGovernor::observe() {
  // Read before the time: who is kept from the processor in between sees no clock that is ahead.
  std::optional<telemetry::StepClockReading> progress;
  if (clock_) {
    if (Result<telemetry::StepClockReading> reading = clock_->read(); reading) {
      progress = *reading;
    }
  }
  ImpactObservation seen{.now = MonotonicClock::now(),
                         .progress = progress,
                         .demand = static_cast<int>(trees_.size()) + starting_ + (ready_ ? 1 : 0),
                         .unpaced = std::exchange(was_unpaced_, unpaced_ > 0) || unpaced_ > 0};
  seen.waiting = asked_ && seen.now - *asked_ < kAsksOften;
  read_cpu(seen);
  seen.can_slack =
      std::ranges::all_of(trees_, [](const Watched& watched) { return watched.tree->can_slack(); });
  return seen;
}

/// The trees that used the processor while they were told to stand still.
void TrainingGovernor::end_violators() {
  const std::vector<Watched> trees = trees_;  // ending one may take it out
  for (const Watched& watched : trees) {
    if (watched.cpu_when_stopped &&
        watched.tree->cpu_seconds() - *watched.cpu_when_stopped > kViolationCpu) {
      watched.tree->end_for({Outcome::PolicyViolation,
                             "it went on where it was stopped for the sake of the training"});
    }
  }
}

/// Some time after the order: a signal takes a while to arrive.
void TrainingGovernor::mark_stopped(MonotonicTime now) {
  if (now - stopped_at_ < kStopsWithin) {
    return;
  }
  for (Watched& watched : trees_) {
    if (!watched.cpu_when_stopped) {
      watched.cpu_when_stopped = watched.tree->cpu_seconds();
    }
  }
}

void TrainingGovernor::carry_out(const ImpactOrder& order) {
  const MonotonicTime now = MonotonicClock::now();
  if (order_.run && !order.run) {
    stopped_at_ = now;
  }
  order_ = order;
  order.load ? load_.start() : load_.stop();
  const Pace pace = current_pace();
  for (Watched& watched : trees_) {
    watched.tree->pace(pace);
    if (order.run) {
      watched.cpu_when_stopped.reset();
    }
  }
  if (!order.run) {
    if (controller_.evaluations_go_on()) {
      end_violators();
      controller_.note_violators_ended();
    }
    mark_stopped(now);
  }
}

void TrainingGovernor::take_frames() {
  for (telemetry::FrameRecord& frame : controller_.take_frames()) {
    if (options_.on_frame) {
      options_.on_frame(std::move(frame));
    }
  }
}

void TrainingGovernor::look() {
  if (!watching_) {
    return;
  }
  looking_ = true;
  const double cpu_before = own_thread_seconds();
  make_ready(MonotonicClock::now());
  const bool gave_way = controller_.load_is_due();
  ImpactOrder order = controller_.observe(observe());
  if (gave_way && !controller_.load_is_due()) {
    order.look_again = MonotonicClock::now();  // whoever waited for the load has waited enough
  }
  if (asked_ && MonotonicClock::now() - *asked_ < kAsksOften && !ready_) {
    order.look_again = std::min(order.look_again, MonotonicClock::now() + kAskAgain);
  }
  carry_out(order);
  take_frames();
  if (controller_.impact().has_reference()) {
    const ImpactEstimate now = estimate();
    if (now.verdict == ImpactVerdict::Exceeded) {
      const std::vector<Watched> trees = trees_;
      for (const Watched& watched : trees) {
        watched.tree->end_for({Outcome::ImpactExceeded, now.reason});
      }
    }
  }
  looking_ = false;
  if (watching_) {
    schedule(order.look_again);
  }
  looks_cpu_ += own_thread_seconds() - cpu_before;
}

void TrainingGovernor::look_soon() {
  if (watching_ && !looking_) {
    schedule(MonotonicClock::now());
  }
}

void TrainingGovernor::schedule(MonotonicTime at) {
  timer_.expires_at(at);
  timer_.async_wait([this, alive = alive_](const boost::system::error_code& cancelled) {
    if (!cancelled && *alive) {
      look();
    }
  });
}

ImpactEstimate TrainingGovernor::estimate() const {
  ImpactEstimate estimate = controller_.estimate(MonotonicClock::now());
  if (!unproven_because_.empty() && estimate.verdict != ImpactVerdict::Exceeded) {
    estimate.verdict = ImpactVerdict::Unproven;
    estimate.reason = estimate.reason.empty()
                          ? unproven_because_
                          : fmt::format("{}; {}", unproven_because_, estimate.reason);
  }
  return estimate;
}

bool TrainingGovernor::has_watched() const {
  const ImpactEstimate seen = controller_.impact().estimate();
  return seen.training_s > 0 || !seen.discarded.empty();
}

ImpactCertificate TrainingGovernor::certificate() const {
  return {.supervision = options_.supervision,
          .limit = options_.limit,
          .seed = options_.seed,
          .impact = estimate()};
}

}  // namespace keisei::guard
