#include "os/nvml.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

namespace keisei::os {
namespace {

constexpr int kSuccess = 0;
constexpr int kNotFound = 6;  // of process samples: nobody used the device since
constexpr int kInsufficientSize = 7;
constexpr unsigned kMostDevices = 256;
constexpr unsigned kMostProcesses = 65536;
constexpr unsigned kNewcomers = 16;  // that a list may gain between the two calls
constexpr unsigned kNameLength = 96;

struct Utilization {
  unsigned gpu;
  unsigned memory;
};
struct Memory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};

bool is_asked(unsigned pid, std::span<const pid_t> asked) {
  return std::ranges::count(asked, static_cast<std::int64_t>(pid),
                            [](pid_t one) { return std::int64_t{one}; }) > 0;
}

/// The list that `call(count, entries)` tells, by asking for its length first. Nothing on any error
/// and on a length that is out of reason or is not kept to.
template <typename Entry, typename Call>
std::optional<std::vector<Entry>> read_list(const Call& call) {
  unsigned count = 0;
  int status = call(&count, static_cast<Entry*>(nullptr));
  if (status == kNotFound || (status == kSuccess && count == 0)) {
    return std::vector<Entry>{};
  }
  if (status != kInsufficientSize || count == 0 || count > kMostProcesses) {
    return std::nullopt;
  }
  std::vector<Entry> entries(count + kNewcomers);
  count = static_cast<unsigned>(entries.size());
  status = call(&count, entries.data());
  if (status == kNotFound) {
    return std::vector<Entry>{};
  }
  if (status != kSuccess || count > entries.size()) {
    return std::nullopt;
  }
  entries.resize(count);
  return entries;
}

}  // namespace

// The names of nvml.h that are used; all are older than ten years. The optional ones are null where
// a driver lacks them.
struct Nvml::Functions {
  int (*init)() = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*handle)(unsigned, Device*) = nullptr;
  int (*utilization)(Device, Utilization*) = nullptr;
  // Optional.
  int (*name)(Device, char*, unsigned) = nullptr;
  int (*memory)(Device, Memory*) = nullptr;
  int (*samples)(Device, NvmlProcessSample*, unsigned*, unsigned long long) = nullptr;
  int (*processes)(Device, unsigned*, NvmlProcessMemory*) = nullptr;
};

std::optional<std::vector<GpuUse>> judge_nvml_samples(std::span<const NvmlProcessSample> samples,
                                                      std::span<const pid_t> asked,
                                                      unsigned long long& last_seen) {
  std::vector<GpuUse> uses;
  unsigned long long newest = last_seen;
  for (const NvmlProcessSample& sample : samples) {
    newest = std::max(newest, sample.time);
    if (!is_asked(sample.pid, asked)) {
      continue;
    }
    if (sample.sm_percent > 100 || sample.time <= last_seen) {
      last_seen = 0;  // its clock may have been set back: begin anew
      return std::nullopt;
    }
    const auto pid = static_cast<pid_t>(sample.pid);
    const auto same = std::ranges::find(uses, pid, &GpuUse::pid);
    if (same == uses.end()) {
      uses.push_back({pid, static_cast<double>(sample.sm_percent), "sm"});
    } else {
      same->percent = std::max(same->percent, static_cast<double>(sample.sm_percent));
    }
  }
  last_seen = newest;
  return uses;
}

std::optional<std::vector<GpuMemory>> judge_nvml_memory(
    std::span<const NvmlProcessMemory> processes, std::span<const pid_t> asked, Bytes device) {
  std::vector<GpuMemory> memory;
  for (const NvmlProcessMemory& process : processes) {
    if (!is_asked(process.pid, asked)) {
      continue;
    }
    if (process.bytes > static_cast<unsigned long long>(device.count)) {  // also «not available»
      return std::nullopt;
    }
    memory.push_back({static_cast<pid_t>(process.pid), {static_cast<std::int64_t>(process.bytes)}});
  }
  return memory;
}

Nvml::Nvml(std::unique_ptr<const Functions> functions) : functions_(std::move(functions)) {}
Nvml::Nvml(Nvml&&) noexcept = default;
Nvml& Nvml::operator=(Nvml&&) noexcept = default;
Nvml::~Nvml() = default;  // no nvmlShutdown, no dlclose: the process ends, whatever they would do

Result<Nvml> Nvml::open(const std::string& library) {
  void* const handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const why = dlerror();
    return fail("{}", why != nullptr ? why : "dlopen");
  }
  Functions functions;
  const auto find = [handle](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
    return function != nullptr;
  };
  if (!find(functions.init, "nvmlInit_v2") || !find(functions.count, "nvmlDeviceGetCount_v2") ||
      !find(functions.handle, "nvmlDeviceGetHandleByIndex_v2") ||
      !find(functions.utilization, "nvmlDeviceGetUtilizationRates")) {
    return fail("{} lacks functions that NVML has", library);
  }
  find(functions.name, "nvmlDeviceGetName");
  find(functions.memory, "nvmlDeviceGetMemoryInfo");
  find(functions.samples, "nvmlDeviceGetProcessUtilization");
  find(functions.processes, "nvmlDeviceGetComputeRunningProcesses");
  if (const int status = functions.init(); status != kSuccess) {
    return fail("nvmlInit_v2 answers with error {}", status);
  }
  return Nvml(std::make_unique<const Functions>(functions));
}

std::optional<std::vector<GpuDevice>> Nvml::sample(std::span<const pid_t> asked,
                                                   PidNamespace pids) {
  unsigned count = 0;
  if (functions_->count(&count) != kSuccess || count > kMostDevices) {
    return std::nullopt;
  }
  last_seen_.resize(count);
  std::vector<GpuDevice> devices;
  for (unsigned i = 0; i < count; ++i) {
    devices.push_back(look(i, asked, pids));
  }
  return devices;
}

GpuDevice Nvml::look(unsigned index, std::span<const pid_t> asked, PidNamespace pids) {
  Device device = nullptr;
  if (functions_->handle(index, &device) != kSuccess) {
    return {.name = fmt::format("NVIDIA {}", index), .note = "the driver does not open it"};
  }
  GpuDevice looked{.name = name(device, index), .busy_percent = busy(device)};
  if (pids == PidNamespace::Other) {
    looked.note =
        "this PID namespace is not the host's, whose process ids the driver tells: no process can "
        "be told from another";
    return looked;
  }
  looked.uses = uses(device, index, asked);
  looked.memory = memory(device, asked);
  if (!looked.uses) {
    looked.note = "the driver does not tell what each process uses";
  }
  return looked;
}

std::optional<double> Nvml::busy(Device device) const {
  Utilization rates = {};
  if (functions_->utilization(device, &rates) != kSuccess || rates.gpu > 100) {
    return std::nullopt;
  }
  return rates.gpu;
}

std::string Nvml::name(Device device, unsigned index) const {
  std::array<char, kNameLength + 1> text = {};
  if (functions_->name == nullptr ||
      functions_->name(device, text.data(), kNameLength) != kSuccess) {
    return fmt::format("NVIDIA {}", index);
  }
  text.back() = '\0';
  return text.data();
}

std::optional<std::vector<GpuUse>> Nvml::uses(Device device, unsigned index,
                                              std::span<const pid_t> asked) {
  if (functions_->samples == nullptr) {
    return std::nullopt;
  }
  unsigned long long& last_seen = last_seen_[index];
  const auto samples =
      read_list<NvmlProcessSample>([&](unsigned* count, NvmlProcessSample* entries) {
        return functions_->samples(device, entries, count, last_seen);
      });
  return samples ? judge_nvml_samples(*samples, asked, last_seen) : std::nullopt;
}

std::optional<std::vector<GpuMemory>> Nvml::memory(Device device,
                                                   std::span<const pid_t> asked) const {
  Memory whole = {};
  constexpr unsigned long long kMost = 1ULL << 50;
  if (functions_->processes == nullptr || functions_->memory == nullptr ||
      functions_->memory(device, &whole) != kSuccess || whole.total > kMost) {
    return std::nullopt;
  }
  const auto processes =
      read_list<NvmlProcessMemory>([&](unsigned* count, NvmlProcessMemory* entries) {
        return functions_->processes(device, count, entries);
      });
  return processes ? judge_nvml_memory(*processes, asked, {static_cast<std::int64_t>(whole.total)})
                   : std::nullopt;
}

}  // namespace keisei::os
