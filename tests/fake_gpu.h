#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "os/gpu.h"

namespace keisei::testing_support {

/// Fake libnvidia-ml.so.1 of tests/fake_nvml, one link per behaviour, in a directory of its own.
class FakeGpu {
 public:
  FakeGpu();
  ~FakeGpu();
  FakeGpu(const FakeGpu&) = delete;
  FakeGpu& operator=(const FakeGpu&) = delete;

  /// `behaviour` as in fake_nvml.cc, or «old» (a driver without calls for processes), «libc»
  /// (another library), «missing», «text» (no library at all).
  [[nodiscard]] os::GpuSources sources(const std::string& behaviour) const;
  /// The processes that use the GPU are those with `text` in their command line.
  void match(const std::string& text) const;

 private:
  std::filesystem::path directory_;
};

/// Whether the process, which is no child to be waited for, is gone or dead within ten seconds.
[[nodiscard]] bool ends(pid_t pid);

}  // namespace keisei::testing_support
