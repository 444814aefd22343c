#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "os/gpu_reading.h"

namespace keisei::os {

/// How long one engine worked for a client: nanoseconds (drm-engine-*), or cycles out of `total`
/// ones that passed (drm-cycles-*, drm-total-cycles-*).
struct DrmEngine {
  std::string name;
  std::uint64_t busy = 0;
  std::optional<std::uint64_t> total = std::nullopt;
  std::uint64_t capacity = 1;  ///< engines of that name
};

/// /proc/PID/fdinfo/N of a descriptor of a graphics device, as the kernel's drm-usage-stats.rst has
/// it; amdgpu, i915 and xe write it.
struct DrmClient {
  std::string device;  ///< drm-pdev
  std::uint64_t id = 0;
  std::vector<DrmEngine> engines = {};
  std::optional<Bytes> memory = std::nullopt;  ///< on the device; shared buffers in full
};
/// Nothing without device, client or engines, or with a number that cannot be read.
[[nodiscard]] std::optional<DrmClient> parse_drm_fdinfo(std::string_view text);

/// A client as a process was seen to hold it.
struct SeenDrmClient {
  pid_t pid = 0;
  std::chrono::nanoseconds process_age{0};
  MonotonicTime at;
  DrmClient client;
};

/// Without those that another process in `seen` holds too.
[[nodiscard]] std::vector<SeenDrmClient> each_client_once(std::vector<SeenDrmClient> seen);

/// Turns what engines have worked into what they worked since the time before.
class DrmAccount {
 public:
  /// Per device; each client once. One that is seen for the first time worked since its process
  /// began. Nothing for a device whose figures cannot be true: work that shrinks, or more than the
  /// time that has passed.
  using Uses = std::map<std::string, std::optional<std::vector<GpuUse>>>;
  [[nodiscard]] Uses advance(std::span<const SeenDrmClient> seen);

 private:
  struct Past {
    MonotonicTime at;
    std::vector<DrmEngine> engines;
  };
  using Key = std::pair<std::string, std::uint64_t>;
  std::map<Key, Past> past_;
};

/// A card of a driver that tells what its processes use.
struct DrmCard {
  std::string device;  ///< PCI address, as in drm-pdev
  std::string driver;
  std::filesystem::path directory;  ///< of the device
};
/// Reads links only and touches no driver. `sysfs` is /sys/class/drm, or a test's.
[[nodiscard]] std::vector<DrmCard> list_drm_cards(const std::filesystem::path& sysfs);

/// Reads both. A driver that hangs blocks it: only keisei-gpu-probe makes an object of this.
class DrmProbe {
 public:
  DrmProbe(const std::filesystem::path& sysfs, std::filesystem::path proc);
  [[nodiscard]] std::vector<GpuDevice> sample(std::span<const pid_t> asked);

 private:
  struct Descriptors;
  void look_at(pid_t pid, Descriptors& found) const;

  const std::vector<DrmCard> cards_;
  const std::filesystem::path proc_;
  DrmAccount account_;
};

}  // namespace keisei::os
