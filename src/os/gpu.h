#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace keisei::os {

struct GpuSample {
  double utilization_percent = 0;  ///< busiest device, share of time with a kernel resident
  int devices = 0;
};

/// Samples NVIDIA GPUs through libnvidia-ml.so.1, which is looked for at run time. No library, no
/// driver, no device or any error of it: latest() is nothing. The library is only touched by a
/// thread of this object, so a slow answer delays no caller.
class GpuSampler {
 public:
  /// `library` is for tests. Nothing happens before the first latest().
  explicit GpuSampler(std::chrono::milliseconds period = std::chrono::milliseconds(500),
                      std::string library = "libnvidia-ml.so.1");
  /// Joins the thread, which first finishes the call it is in.
  ~GpuSampler();
  GpuSampler(const GpuSampler&) = delete;
  GpuSampler& operator=(const GpuSampler&) = delete;

  /// The newest sample; nothing where there is none, and at the first call, which only starts the
  /// sampling. Does not block.
  [[nodiscard]] std::optional<GpuSample> latest();
  /// Waits until the first attempt has ended. For tests.
  void wait_first();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keisei::os
