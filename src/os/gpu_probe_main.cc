// keisei-gpu-probe SUPERVISOR LIBRARY NVIDIA DRM HOST-PIDS: started by GpuSampler only, with the
// socket at kGpuProbeSocket. Whatever a driver's library does, it does here: a hang or a crash
// costs this process, and the supervisor a reading.
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "os/drm.h"
#include "os/gpu_probe.h"
#include "os/gpu_reading.h"
#include "os/nvml.h"

namespace keisei::os {
namespace {

constexpr int kIdleMs = 30'000;     // without a question: the driver need not be kept awake
constexpr int kMostAnswers = 1000;  // then a new process: what a library leaks is given back

PidNamespace pid_namespace(const char* host) {
  std::error_code error;
  const auto link = std::filesystem::read_symlink("/proc/self/ns/pid", error);
  return !error && link == host ? PidNamespace::Host : PidNamespace::Other;
}

class Probe {
 public:
  Probe(const std::string& library, const std::string& nvidia, const std::string& drm,
        PidNamespace pids)
      : pids_(pids), drm_(drm, "/proc") {
    if (access(nvidia.c_str(), F_OK) != 0) {
      return;
    }
    Result<Nvml> opened = Nvml::open(library);
    if (opened) {
      nvml_.emplace(std::move(*opened));
    } else {
      failure_ = std::move(opened).error().message;
    }
  }

  GpuAnswer answer(std::span<const pid_t> asked) {
    GpuAnswer answer{.devices = drm_.sample(asked), .note = {}};
    std::optional<std::vector<GpuDevice>> devices;
    if (nvml_) {
      devices = nvml_->sample(asked, pids_);
    }
    // There is a driver: what it does not tell is unknown, not absent.
    if (!devices && (nvml_ || !failure_.empty())) {
      devices = {GpuDevice{.name = "NVIDIA",
                           .note = nvml_ ? "the driver does not count its devices" : failure_}};
    }
    for (const GpuDevice& device : devices.value_or(std::vector<GpuDevice>{})) {
      answer.devices.push_back(device);
    }
    if (answer.devices.empty()) {
      answer.note = "no GPU: the drivers tell of no device";
    }
    return answer;
  }

 private:
  const PidNamespace pids_;
  DrmProbe drm_;
  std::optional<Nvml> nvml_;
  std::string failure_;
};

/// Dies with the thread that started it, also inside a library that never returns.
bool tie_to(pid_t supervisor) {
  return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == supervisor;
}

int serve(std::span<char* const> arguments) {
  const rlimit none = {.rlim_cur = 0, .rlim_max = 0};
  (void)setrlimit(RLIMIT_CORE, &none);
  std::optional<Probe> probe;
  std::array<pid_t, kGpuMostPids> question = {};
  for (int i = 0; i < kMostAnswers; ++i) {
    pollfd ready = {.fd = kGpuProbeSocket, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, kIdleMs) <= 0) {
      return 0;
    }
    const ssize_t got = recv(kGpuProbeSocket, question.data(), sizeof question, 0);
    if (got <= 0) {
      return 0;
    }
    if (!probe) {  // not before somebody waits for it with a deadline
      probe.emplace(arguments[2], arguments[3], arguments[4], pid_namespace(arguments[5]));
    }
    const bool nobody = question[0] == 0;
    const std::size_t count = nobody ? 0 : static_cast<std::size_t>(got) / sizeof(pid_t);
    const std::string text = encode(probe->answer(std::span(question).first(count)));
    if (send(kGpuProbeSocket, text.data(), text.size(), MSG_NOSIGNAL) < 0) {
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace keisei::os

int main(int argc, char** argv) {
  const std::span arguments(argv, static_cast<std::size_t>(argc));
  if (arguments.size() != 6 || !keisei::os::tie_to(std::atoi(arguments[1]))) {
    _exit(2);
  }
  _exit(keisei::os::serve(arguments));  // no atexit handler of a library is run
}
