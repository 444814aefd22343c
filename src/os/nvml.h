#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/gpu_reading.h"

namespace keisei::os {

/// nvmlProcessUtilizationSample_t of nvml.h.
struct NvmlProcessSample {
  unsigned pid = 0;
  unsigned long long time = 0;  ///< microseconds
  unsigned sm_percent = 0;
  unsigned memory_percent = 0;
  unsigned encoder_percent = 0;
  unsigned decoder_percent = 0;
};
/// nvmlProcessInfo_v1_t, whose layout has stayed; later ones differed between drivers.
struct NvmlProcessMemory {
  unsigned pid = 0;
  unsigned long long bytes = 0;
};

/// What the `asked` processes used: of several samples of one process the highest. Nothing where
/// one of their samples cannot be true: above 100 %, or not newer than `last_seen`, which is moved
/// to the newest sample (back to 0 where samples grow older). Others' samples are dropped.
[[nodiscard]] std::optional<std::vector<GpuUse>> judge_nvml_samples(
    std::span<const NvmlProcessSample> samples, std::span<const pid_t> asked,
    unsigned long long& last_seen);

/// What the `asked` processes hold. Nothing where one of them holds more than the device has.
[[nodiscard]] std::optional<std::vector<GpuMemory>> judge_nvml_memory(
    std::span<const NvmlProcessMemory> processes, std::span<const pid_t> asked, Bytes device);

/// Whether the driver's process ids are ours: it tells those of the host's PID namespace.
enum class PidNamespace { Host, Other };

/// NVIDIA's management library, which is looked for at run time. Any call may hang, crash, leak,
/// print or lie: only keisei-gpu-probe makes an object of this, and ends without any last call.
class Nvml {
 public:
  [[nodiscard]] static Result<Nvml> open(const std::string& library);
  Nvml(Nvml&& other) noexcept;
  Nvml& operator=(Nvml&& other) noexcept;
  ~Nvml();
  /// Nothing where the devices cannot be counted.
  [[nodiscard]] std::optional<std::vector<GpuDevice>> sample(std::span<const pid_t> asked,
                                                             PidNamespace pids);

 private:
  using Device = void*;
  struct Functions;
  explicit Nvml(std::unique_ptr<const Functions> functions);
  [[nodiscard]] GpuDevice look(unsigned index, std::span<const pid_t> asked, PidNamespace pids);
  [[nodiscard]] std::optional<double> busy(Device device) const;
  [[nodiscard]] std::string name(Device device, unsigned index) const;
  [[nodiscard]] std::optional<std::vector<GpuUse>> uses(Device device, unsigned index,
                                                        std::span<const pid_t> asked);
  [[nodiscard]] std::optional<std::vector<GpuMemory>> memory(Device device,
                                                             std::span<const pid_t> asked) const;

  std::unique_ptr<const Functions> functions_;
  std::vector<unsigned long long> last_seen_;  // per device, microseconds
};

}  // namespace keisei::os
