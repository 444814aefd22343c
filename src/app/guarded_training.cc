#include "app/guarded_training.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <thread>
#include <utility>

#include "guard/progress_writer.h"

namespace keisei::app {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds kInterval{100};
constexpr std::chrono::milliseconds kTurnInterval{50};
constexpr std::chrono::seconds kStale{60};  // as HeartbeatJudge takes a training for hung
constexpr double kDefaultLimit = 0.05;

std::optional<pid_t> as_pid(const std::string& text) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole && pid > 0 ? std::optional(pid) : std::nullopt;
}

tl::unexpected<Error> not_there(const std::string& training, pid_t pid, std::string_view why) {
  return usage_error(
      "--training '{}': its process {} {}; start the training first, and name it or the progress "
      "file that it writes",
      training, pid, why);
}

/// The directory before the other: where both can be used afterwards they are of one process, also
/// where its number is given anew meanwhile.
Result<TrainingSource> open_process(const std::string& training, pid_t pid) {
  TrainingSource source{.process = {}, .directory = {}, .pid = pid};
  const std::string path = fmt::format("/proc/{}", pid);
  source.directory.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  source.process.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!source.process) {
    return not_there(training, pid, errno == ESRCH ? "is not running" : ::strerror(errno));
  }
  return source;
}

Result<telemetry::StepClockReader> reader_of(const UniqueFd& file) {
  return telemetry::StepClockReader::attach(UniqueFd(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0)));
}

/// A writer that was put aside in the midst of a tick shows nothing until it goes on.
bool advances(telemetry::StepClockReader& clock) {
  Result<telemetry::StepClockReading> reading = clock.read();
  for (int again = 0; again < 100 && reading && reading->ticks == 0; ++again) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    reading = clock.read();
  }
  return reading && reading->ticks > 0 && MonotonicClock::now() - reading->time < kStale;
}

bool has_ended(const UniqueFd& process) {
  pollfd ended{.fd = process.get(), .events = POLLIN, .revents = 0};
  return ::poll(&ended, 1, 0) == 1;
}

/// Empty where it is the writer.
std::string why_unknown(const TrainingSource& named, const UniqueFd& file) {
  switch (guard::writes_progress(named.directory.get(), file.get())) {
    case guard::WritesProgress::Yes:
      return "";
    case guard::WritesProgress::No:
      return "which does not have it mapped: of a trainer in a container, run the guard in there";
    case guard::WritesProgress::Unknown:
      return "which may not be looked at: run the guard as its user, or as root";
  }
  return "";
}

/// Who the file says writes it, if that is so; the process of somebody else is none.
Result<TrainingSource> open_writer(const std::string& training, const UniqueFd& file,
                                   telemetry::StepClockReader& heart) {
  const pid_t pid = heart.writer_pid();
  Result<TrainingSource> named = open_process(training, pid);
  if (!named && !advances(heart)) {
    return named;
  }
  const std::string unknown =
      named ? why_unknown(*named, file)
            : "which is not running: of a trainer in a container, run the guard in there";
  if (unknown.empty()) {
    return named;
  }
  if (named && has_ended(named->process)) {  // it had nothing mapped any more
    return not_there(training, pid, "has just ended");
  }
  if (!advances(heart)) {
    return usage_error(
        "--training '{}' names process {}, {}; and it shows no progress in the last {}", training,
        pid, unknown, to_string(kStale));
  }
  return TrainingSource{
      .process = {},
      .directory = {},
      .unknown = fmt::format("the progress file names process {}, {}", pid, unknown)};
}

Result<TrainingSource> open_progress(const std::string& training, UniqueFd file) {
  auto heart = reader_of(file);
  if (!heart) {
    return usage_error("--training '{}': {}", training, heart.error().message);
  }
  KEISEI_TRY(progress, reader_of(file));
  KEISEI_TRY(source, open_writer(training, file, *heart));
  source.file = std::move(file);
  source.heart = std::move(*heart);
  source.progress = std::move(progress);
  return source;
}

}  // namespace

Result<TrainingSource> open_training(const std::string& training) {
  UniqueFd file(::open(training.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const int error = errno;
  if (file) {
    return open_progress(training, std::move(file));
  }
  const std::optional<pid_t> pid = as_pid(training);
  if (!pid) {
    return usage_error(
        "--training '{}': {}; name a progress file (see keisei_progress.h) or a process id",
        training, ::strerror(error));
  }
  return open_process(training, *pid);
}

GuardedTraining::GuardedTraining(const asio::any_io_executor& executor, TrainingSource source,
                                 Options options, guard::RunControl& control)
    : source_(std::move(source)),
      options_(std::move(options)),
      control_(control),
      timer_(executor),
      turn_timer_(executor) {}

Result<std::unique_ptr<GuardedTraining>> GuardedTraining::watch(
    const asio::any_io_executor& executor, TrainingSource source, Options options,
    guard::RunControl& control) {
  std::unique_ptr<GuardedTraining> training(
      new GuardedTraining(executor, std::move(source), std::move(options), control));
  const TrainingSource& named = training->source_;
  const std::optional<double> limit = training->options_.limit;
  if (named.progress || limit) {
    auto turn =
        guard::TrainingTurn::of({.process = named.directory.get(), .progress = named.file.get()});
    if (!turn) {
      return with_context(std::move(turn).error(), "--training");
    }
    training->turn_ = std::move(*turn);
    training->governor_.emplace(
        executor, guard::TrainingGovernor::Options{.limit = limit.value_or(kDefaultLimit),
                                                   .seed = guard::random_seed()});
  }
  if (!named.unknown.empty() && training->options_.say) {
    training->options_.say(named.unknown +
                           "; until then the command gets only what is safe whatever it costs");
  }
  training->look_later();
  return training;
}

asio::awaitable<void> GuardedTraining::take_turn() {
  while (turn_ && !turn_is_over()) {
    boost::system::error_code cancelled;
    turn_timer_.expires_after(kTurnInterval);
    co_await turn_timer_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }
}

bool GuardedTraining::turn_is_over() {
  if (control_.cancel_request()) {
    return true;
  }
  if (const std::optional<pid_t> other = turn_->supervisor()) {
    control_.cancel(guard::Outcome::Rejected,
                    fmt::format("`keisei train` (process {}) evaluates beside this training "
                                "itself, and spends what it may lose: set evaluation.enabled to "
                                "false there to guard other commands beside it",
                                *other));
    return true;
  }
  const Result<bool> ours = turn_->take();
  if (!ours) {
    control_.cancel(guard::Outcome::StartFailed, ours.error().message);
  } else if (*ours) {
    begin();
  } else {
    say_what_it_waits_for();
  }
  return !ours || *ours;
}

void GuardedTraining::say_what_it_waits_for() {
  if (std::exchange(said_, true) || !options_.say) {
    return;
  }
  const auto named = [](pid_t pid) { return pid > 0 ? fmt::format(" (process {})", pid) : ""; };
  options_.say(
      fmt::format("waiting: another guard{} runs a command beside this training{}; one at a time",
                  named(turn_->holder().value_or(0)), named(source_.pid)));
}

void GuardedTraining::say_why_it_is_put_off() {
  if (governor_ && !governor_->deferral().empty() && options_.say &&
      !std::exchange(said_put_off_, true)) {
    options_.say("waiting: " + governor_->deferral());
  }
}

void GuardedTraining::begin() {
  if (!source_.process) {
    governor_->watch_without_progress({}, source_.unknown);
  } else if (source_.progress) {
    governor_->watch(std::move(*source_.progress), source_.pid);
  } else {
    governor_->watch_without_progress(source_.pid);
  }
}

void GuardedTraining::stop() {
  stopped_ = true;
  timer_.cancel();
  turn_timer_.cancel();
  if (governor_) {
    governor_->stop();
  }
}

/// Empty while it lives and trains.
std::string GuardedTraining::why_lost() {
  if (has_ended(source_.process)) {
    return fmt::format("the training (process {}) has ended", source_.pid);
  }
  if (!source_.heart) {
    return "";
  }
  const auto reading = source_.heart->read();
  if (!reading && !source_.process) {
    return "whether the training goes on cannot be told any more: " + reading.error().message;
  }
  if (!reading) {
    source_.heart.reset();
    source_.progress.reset();
    governor_->lose_clock();
    return "";
  }
  if (judge_.observe(*reading, MonotonicClock::now()) == guard::HeartbeatJudge::State::Silent) {
    return fmt::format("the training has made no progress for {}", to_string(judge_.silence()));
  }
  return "";
}

void GuardedTraining::look() {
  if (turn_) {
    turn_->hold();
  }
  if (const std::string lost = why_lost(); !lost.empty()) {
    control_.cancel(guard::Outcome::TrainerLost, lost);
    return stop();
  }
  say_why_it_is_put_off();
  look_later();
}

void GuardedTraining::look_later() {
  timer_.expires_after(kInterval);
  timer_.async_wait([this](const boost::system::error_code& cancelled) {
    if (!cancelled && !stopped_) {
      look();
    }
  });
}

}  // namespace keisei::app
