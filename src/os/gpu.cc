#include "os/gpu.h"

#include <dlfcn.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

namespace keisei::os {
namespace {

// The few names of nvml.h that are needed; the ABI is stable.
struct NvmlUtilization {
  unsigned gpu;
  unsigned memory;
};
using NvmlDevice = void*;
constexpr int kNvmlSuccess = 0;

struct CloseLibrary {
  void operator()(void* library) const { dlclose(library); }
};

class Nvml {
 public:
  static std::optional<Nvml> open(const std::string& name) {
    Nvml nvml;
    nvml.library_.reset(dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL));
    if (!nvml.library_) {
      return std::nullopt;
    }
    int (*init)() = nullptr;
    if (!nvml.find(init, "nvmlInit_v2") || !nvml.find(nvml.shutdown_, "nvmlShutdown") ||
        !nvml.find(nvml.count_, "nvmlDeviceGetCount_v2") ||
        !nvml.find(nvml.handle_, "nvmlDeviceGetHandleByIndex_v2") ||
        !nvml.find(nvml.utilization_, "nvmlDeviceGetUtilizationRates") || init() != kNvmlSuccess) {
      return std::nullopt;
    }
    nvml.initialised_ = true;
    return nvml;
  }
  Nvml(Nvml&& other) noexcept
      : library_(std::move(other.library_)),
        shutdown_(other.shutdown_),
        count_(other.count_),
        handle_(other.handle_),
        utilization_(other.utilization_),
        initialised_(std::exchange(other.initialised_, false)) {}
  Nvml& operator=(Nvml&&) = delete;
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;
  ~Nvml() {
    if (initialised_) {
      shutdown_();
    }
  }

  [[nodiscard]] std::optional<GpuSample> sample() const {
    unsigned devices = 0;
    if (count_(&devices) != kNvmlSuccess) {
      return std::nullopt;
    }
    GpuSample sample;
    for (unsigned i = 0; i < devices; ++i) {
      NvmlDevice device = nullptr;
      NvmlUtilization rates = {};
      if (handle_(i, &device) == kNvmlSuccess && utilization_(device, &rates) == kNvmlSuccess &&
          rates.gpu <= 100) {
        sample.utilization_percent =
            std::max(sample.utilization_percent, static_cast<double>(rates.gpu));
        ++sample.devices;
      }
    }
    return sample.devices > 0 ? std::optional(sample) : std::nullopt;
  }

 private:
  Nvml() = default;
  template <typename Function>
  bool find(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(library_.get(), name));
    return function != nullptr;
  }

  std::unique_ptr<void, CloseLibrary> library_;
  int (*shutdown_)() = nullptr;
  int (*count_)(unsigned*) = nullptr;
  int (*handle_)(unsigned, NvmlDevice*) = nullptr;
  int (*utilization_)(NvmlDevice, NvmlUtilization*) = nullptr;
  bool initialised_ = false;
};

}  // namespace

struct GpuSampler::State {
  const std::chrono::milliseconds period;
  const std::string library;
  std::mutex mutex;
  std::condition_variable_any changed;
  std::optional<GpuSample> latest;  // guarded by mutex
  bool attempted = false;           // guarded by mutex
  std::jthread thread;              // last: joined before the rest goes

  State(std::chrono::milliseconds every, std::string name)
      : period(every), library(std::move(name)) {}

  void start() {
    if (!thread.joinable()) {
      thread = std::jthread([this](const std::stop_token& stop) { run(stop); });
    }
  }

  void publish(std::optional<GpuSample> sample) {
    const std::lock_guard lock(mutex);
    latest = sample;
    attempted = true;
    changed.notify_all();
  }

  void run(const std::stop_token& stop) {
    const std::optional<Nvml> nvml = Nvml::open(library);
    if (!nvml) {
      publish(std::nullopt);
      return;
    }
    while (!stop.stop_requested()) {
      publish(nvml->sample());
      std::unique_lock lock(mutex);
      changed.wait_for(lock, stop, period, [] { return false; });
    }
  }
};

GpuSampler::GpuSampler(std::chrono::milliseconds period, std::string library)
    : state_(std::make_unique<State>(period, std::move(library))) {}

GpuSampler::~GpuSampler() = default;

std::optional<GpuSample> GpuSampler::latest() {
  state_->start();
  const std::lock_guard lock(state_->mutex);
  return state_->latest;
}

void GpuSampler::wait_first() {
  state_->start();
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [this] { return state_->attempted; });
}

}  // namespace keisei::os
