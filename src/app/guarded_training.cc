#include "app/guarded_training.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace keisei::app {
namespace {

constexpr std::chrono::milliseconds kInterval{100};
constexpr double kDefaultLimit = 0.05;

std::optional<pid_t> as_pid(const std::string& text) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole && pid > 0 ? std::optional(pid) : std::nullopt;
}

Result<UniqueFd> open_process(const std::string& training, pid_t pid) {
  UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process) {
    return usage_error(
        "--training '{}': its process {} {}; start the training first, and name it or the progress "
        "file that it writes",
        training, pid, errno == ESRCH ? "is not running" : ::strerror(errno));
  }
  return process;
}

Result<TrainingSource> open_progress(const std::string& training, UniqueFd file) {
  UniqueFd second(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
  auto heart = telemetry::StepClockReader::attach(std::move(file));
  if (!heart) {
    return usage_error("--training '{}': {}", training, heart.error().message);
  }
  KEISEI_TRY(progress, telemetry::StepClockReader::attach(std::move(second)));
  const pid_t pid = heart->writer_pid();
  KEISEI_TRY(process, open_process(training, pid));
  return TrainingSource{.process = std::move(process),
                        .pid = pid,
                        .heart = std::move(*heart),
                        .progress = std::move(progress)};
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
  KEISEI_TRY(process, open_process(training, *pid));
  return TrainingSource{.process = std::move(process), .pid = *pid};
}

GuardedTraining::GuardedTraining(const boost::asio::any_io_executor& executor,
                                 TrainingSource source, std::optional<double> limit,
                                 guard::RunControl& control)
    : source_(std::move(source)), control_(control), timer_(executor) {
  if (source_.progress || limit) {
    governor_.emplace(executor,
                      guard::TrainingGovernor::Options{.limit = limit.value_or(kDefaultLimit),
                                                       .seed = guard::random_seed()});
    if (source_.progress) {
      governor_->watch(std::move(*source_.progress));
    } else {
      governor_->watch_without_progress(source_.pid);
    }
  }
  look_later();
}

void GuardedTraining::stop() {
  stopped_ = true;
  timer_.cancel();
  if (governor_) {
    governor_->stop();
  }
}

/// Empty while it lives and trains.
std::string GuardedTraining::why_lost() {
  pollfd ended{.fd = source_.process.get(), .events = POLLIN, .revents = 0};
  if (::poll(&ended, 1, 0) == 1) {
    return fmt::format("the training (process {}) has ended", source_.pid);
  }
  if (!source_.heart) {
    return "";
  }
  const auto reading = source_.heart->read();
  if (!reading) {
    source_.heart.reset();
    governor_->lose_clock();
    return "";
  }
  if (judge_.observe(*reading, MonotonicClock::now()) == guard::HeartbeatJudge::State::Silent) {
    return fmt::format("the training has made no progress for {}", to_string(judge_.silence()));
  }
  return "";
}

void GuardedTraining::look() {
  if (const std::string lost = why_lost(); !lost.empty()) {
    control_.cancel(guard::Outcome::TrainerLost, lost);
    return stop();
  }
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
