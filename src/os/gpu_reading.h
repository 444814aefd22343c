#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/units.h"

namespace keisei::os {

/// What one process used of one engine of a device since the reading before.
struct GpuUse {
  pid_t pid = 0;
  double percent = 0;  ///< of time, 0..100
  std::string engine;  ///< «sm», «gfx», ...: engines run side by side
};
struct GpuMemory {
  pid_t pid = 0;
  Bytes bytes;
};

/// What is not known is nothing, never zero.
struct GpuDevice {
  std::string name;
  std::optional<double> busy_percent = std::nullopt;  ///< everybody's work, 0..100
  /// Of the processes that were asked about; one that is not there used nothing.
  std::optional<std::vector<GpuUse>> uses = std::nullopt;
  std::optional<std::vector<GpuMemory>> memory = std::nullopt;
  std::string note = {};  ///< why something is unknown
};

/// All devices at once. Without a device: the question was not answered.
struct GpuReading {
  MonotonicTime asked_at;
  std::vector<GpuDevice> devices;
};

/// What a process tree used, on the device that it used most.
struct GpuShare {
  std::optional<double> utilization_percent = std::nullopt;
  bool device_wide = false;  ///< everybody's work: no less than the tree's
  /// Its own, on the device that it used most of those that tell; nothing: none does.
  std::optional<double> own_percent = std::nullopt;
  bool complete = true;  ///< false: a device told nothing, so that it may be more
  std::optional<Bytes> memory = std::nullopt;  ///< over all devices
};
[[nodiscard]] GpuShare share_of(const GpuReading& reading, const std::unordered_set<pid_t>& tree);

/// What keisei-gpu-probe answers. Without a device: there is none, and `note` says why.
struct GpuAnswer {
  std::vector<GpuDevice> devices;
  std::string note;
};
inline constexpr std::size_t kGpuAnswerLimit = 65'536;  ///< bytes

/// Lines of words between tabs, from «keisei-gpu» to «end». Longer than the limit: devices lose
/// their processes, which are then unknown.
[[nodiscard]] std::string encode(const GpuAnswer& answer);
/// Nothing on a text that encode() does not make, also where one number is out of its range.
[[nodiscard]] std::optional<GpuAnswer> parse_gpu_answer(std::string_view text);

}  // namespace keisei::os
