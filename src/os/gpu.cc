#include "os/gpu.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

#include "os/drm.h"
#include "os/gpu_probe.h"
#include "os/procfs.h"
#include "os/program.h"
#include "os/spawn.h"

namespace keisei::os {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::nanoseconds kFirstRest = 10s;  // after a failure; doubled each time
constexpr std::chrono::nanoseconds kLongestRest = 10min;
constexpr std::chrono::nanoseconds kAbsentRest = 10min;  // a driver may be loaded meanwhile
constexpr int kDeathPatienceMs = 500;

/// `path` without what is relative or empty, which means the working directory.
std::string absolute_entries(std::string_view path) {
  std::string kept;
  while (!path.empty()) {
    const std::string_view entry = path.substr(0, path.find_first_of(":;"));
    path.remove_prefix(std::min(path.size(), entry.size() + 1));
    if (entry.starts_with('/')) {
      kept += kept.empty() ? "" : ":";
      kept += entry;
    }
  }
  return kept;
}

double seconds_of(const rusage& usage) {
  const auto to_seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return to_seconds(usage.ru_utime) + to_seconds(usage.ru_stime);
}

std::string describe(const GpuDevice& device) {
  const auto known = [](bool is) { return is ? "yes" : "no"; };
  return fmt::format("{}: own share {}, device-wide {}, memory {}{}{}", device.name,
                     known(device.uses.has_value()), known(device.busy_percent.has_value()),
                     known(device.memory.has_value()), device.note.empty() ? "" : "; ",
                     device.note);
}

}  // namespace

std::vector<std::string> probe_environment(std::span<const std::string> own) {
  constexpr std::string_view kName = "LD_LIBRARY_PATH=";
  std::vector<std::string> environment;
  for (const std::string& entry : own) {
    if (!entry.starts_with(kName)) {
      continue;
    }
    const std::string kept = absolute_entries(std::string_view(entry).substr(kName.size()));
    if (!kept.empty()) {
      environment.push_back(std::string(kName) + kept);
    }
  }
  return environment;
}

GpuSampler::GpuSampler(GpuSources sources) : sources_(std::move(sources)) {}

GpuSampler::~GpuSampler() {
  if (probe_) {
    retire();
  }
  if (dying_) {
    pollfd ended = {.fd = dying_->pidfd.get(), .events = POLLIN, .revents = 0};
    while (::poll(&ended, 1, kDeathPatienceMs) < 0 && errno == EINTR) {
    }
    (void)previous_is_gone();
  }
}

const std::optional<GpuReading>& GpuSampler::poll(MonotonicTime now, std::span<const pid_t> pids) {
  if (absent_ && now < next_start_) {
    return latest_;
  }
  wanted_.insert(pids.begin(), pids.end());
  if (!probe_ && now >= next_start_ && previous_is_gone()) {
    try_start(now);
  }
  if (probe_ && asked_at_) {
    hear(now);
  }
  if (probe_ && !asked_at_ && now >= next_question_) {
    ask(now);
  }
  return latest_;
}

std::optional<pid_t> GpuSampler::probe() const {
  return probe_ ? std::optional(probe_->pid) : std::nullopt;
}

double GpuSampler::cpu_seconds() {
  double sum = ended_cpu_;
  for (std::optional<Probe>* probe : {&probe_, &dying_}) {
    if (*probe) {
      (*probe)->cpu = std::max((*probe)->cpu, cpu_seconds_of((*probe)->pid).value_or(0));
      sum += (*probe)->cpu;
    }
  }
  return sum;
}

bool GpuSampler::anything_there() const {
  return access(sources_.nvidia.c_str(), F_OK) == 0 || !list_drm_cards(sources_.drm).empty();
}

void GpuSampler::try_start(MonotonicTime now) {
  absent_ = !anything_there();
  if (absent_) {
    next_start_ = now + kAbsentRest;
    note_ = fmt::format("no GPU: there is no {} and no card of a driver that tells in {}",
                        sources_.nvidia.string(), sources_.drm.string());
    return;
  }
  Result<Probe> started = start();
  if (!started) {
    return fail_probe(now, std::move(started).error().message);
  }
  probe_ = std::move(*started);
  next_question_ = now;
}

Result<GpuSampler::Probe> GpuSampler::start() const {
  KEISEI_TRY(program, find_program("keisei-gpu-probe"));
  int ends[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return fail_errno("making the GPU probe's socket");
  }
  UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) {
    return fail_errno("opening /dev/null");
  }
  const std::array fds = {FdMapping{null.get(), STDIN_FILENO}, FdMapping{null.get(), STDOUT_FILENO},
                          FdMapping{null.get(), STDERR_FILENO},
                          FdMapping{theirs.get(), kGpuProbeSocket}};
  const std::vector<std::string> argv = {"keisei-gpu-probe",    std::to_string(getpid()),
                                         sources_.nvml,         sources_.nvidia.string(),
                                         sources_.drm.string(), sources_.host_pids};
  KEISEI_TRY(pid, spawn({.path = program.string(),
                         .argv = argv,
                         .environment = probe_environment(current_environment()),
                         .fds = fds,
                         .own_process_group = true}));
  Result<UniqueFd> pidfd = open_pidfd(pid);
  if (!pidfd) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);  // it has not opened a driver yet: no question was sent
    return tl::unexpected(std::move(pidfd).error());
  }
  return Probe{.pid = pid, .pidfd = std::move(*pidfd), .socket = std::move(ours)};
}

void GpuSampler::hear(MonotonicTime now) {
  answer_.resize(kGpuAnswerLimit);
  const ssize_t got =
      recv(probe_->socket.get(), answer_.data(), answer_.size(), MSG_DONTWAIT | MSG_TRUNC);
  if (got > 0) {
    const auto length = static_cast<std::size_t>(got);
    return take(std::string_view(answer_).substr(0, length <= answer_.size() ? length : 0), now);
  }
  if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
    return fail_probe(now, "the GPU probe ended in the middle of a question");
  }
  const auto patience = probe_->answers == 0 ? sources_.first_patience : sources_.patience;
  if (now - *asked_at_ > patience) {
    fail_probe(now,
               fmt::format("the GPU probe gave no answer within {}", keisei::to_string(patience)));
  }
}

void GpuSampler::take(std::string_view text, MonotonicTime now) {
  std::optional<GpuAnswer> answer = parse_gpu_answer(text);
  if (!answer) {
    return fail_probe(now, "the GPU probe's answer makes no sense");
  }
  note_ = std::move(answer->note);
  if (answer->devices.empty()) {
    absent_ = true;
    next_start_ = now + kAbsentRest;
    latest_.reset();
    return retire();
  }
  latest_ = GpuReading{.asked_at = *asked_at_, .devices = std::move(answer->devices)};
  asked_at_.reset();
  ++probe_->answers;
  failures_ = 0;
}

void GpuSampler::ask(MonotonicTime now) {
  const std::vector<pid_t> question(wanted_.begin(), wanted_.end());
  if (question.size() > kGpuMostPids) {
    return fail_probe(now, "there are too many processes to ask about");
  }
  // An empty message would look like the end.
  const std::vector<pid_t> nobody = {0};
  const std::vector<pid_t>& sent = question.empty() ? nobody : question;
  const ssize_t length = static_cast<ssize_t>(sent.size() * sizeof(pid_t));
  if (send(probe_->socket.get(), sent.data(), static_cast<std::size_t>(length),
           MSG_NOSIGNAL | MSG_DONTWAIT) != length) {
    if (probe_->answers == 0) {
      return fail_probe(now, fmt::format("asking the GPU probe: {}", strerror(errno)));
    }
    return retire();  // it rests: the next poll() starts another
  }
  wanted_.clear();
  asked_at_ = now;
  next_question_ = now + sources_.period;
}

void GpuSampler::fail_probe(MonotonicTime now, std::string why) {
  note_ = std::move(why);
  latest_ = GpuReading{.asked_at = now, .devices = {}};
  const auto rest = kFirstRest * (1 << std::min(failures_, 8));
  next_start_ = now + std::min<std::chrono::nanoseconds>(rest, kLongestRest);
  ++failures_;
  wanted_.clear();
  if (probe_) {
    retire();
  }
}

void GpuSampler::retire() {
  syscall(SYS_pidfd_send_signal, probe_->pidfd.get(), SIGKILL, nullptr, 0);
  probe_->socket.reset();
  dying_ = std::move(probe_);
  probe_.reset();
  asked_at_.reset();
}

bool GpuSampler::previous_is_gone() {
  rusage usage = {};
  if (dying_ && wait4(dying_->pid, nullptr, WNOHANG, &usage) != 0) {
    ended_cpu_ += std::max(dying_->cpu, seconds_of(usage));
    dying_.reset();
  }
  return !dying_;
}

GpuSupport describe_gpu(const GpuSources& sources) {
  GpuSampler sampler(sources);
  const std::array self = {getpid()};
  std::optional<GpuReading> reading;
  while (!sampler.absent() && !reading) {
    reading = sampler.poll(MonotonicClock::now(), self);
    if (!reading) {
      std::this_thread::sleep_for(2ms);
    }
  }
  GpuSupport support{.present = !sampler.absent(), .detail = sampler.note()};
  if (!reading || reading->devices.empty()) {
    return support;
  }
  const auto all = [&](auto member) {
    return std::ranges::all_of(reading->devices, [member](const GpuDevice& device) {
      return (device.*member).has_value();
    });
  };
  support.measurable = std::ranges::any_of(
      reading->devices, [](const GpuDevice& device) { return device.uses || device.busy_percent; });
  support.own_share = all(&GpuDevice::uses);
  support.device_wide = all(&GpuDevice::busy_percent);
  support.memory = all(&GpuDevice::memory);
  for (const GpuDevice& device : reading->devices) {
    support.detail += support.detail.empty() ? describe(device) : "\n" + describe(device);
  }
  return support;
}

}  // namespace keisei::os
