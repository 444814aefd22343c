#include "fake_gpu.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/check.h"
#include "os/procfs.h"

namespace keisei::testing_support {

using namespace std::chrono_literals;

FakeGpu::FakeGpu() {
  std::string pattern = (std::filesystem::temp_directory_path() / "keisei-gpu-XXXXXX").string();
  KEISEI_CHECK(mkdtemp(pattern.data()) != nullptr, "mkdtemp");
  directory_ = pattern;
}

FakeGpu::~FakeGpu() { std::filesystem::remove_all(directory_); }

os::GpuSources FakeGpu::sources(const std::string& behaviour) const {
  const std::filesystem::path fakes =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "fake_nvml";
  const std::filesystem::path library = directory_ / (behaviour + ".so");
  if (behaviour == "text") {
    std::ofstream(library) << "no library";
  } else if (behaviour != "missing" && !std::filesystem::is_symlink(library)) {
    std::filesystem::create_symlink(
        fakes / (behaviour == "old" ? "fake_nvml_old.so" : "fake_nvml.so"), library);
  }
  return {.nvml = behaviour == "libc" ? "libc.so.6" : library.string(),
          .nvidia = directory_,
          .drm = directory_ / "no-drm",
          .host_pids = std::filesystem::read_symlink("/proc/self/ns/pid").string(),
          .period = 50ms,
          .first_patience = 30s,
          .patience = 30s};
}

void FakeGpu::match(const std::string& text) const { std::ofstream(directory_ / "match") << text; }

bool ends(pid_t pid) {
  const MonotonicTime deadline = MonotonicClock::now() + 30s;
  while (MonotonicClock::now() < deadline) {
    const auto text = os::read_proc(fmt::format("/proc/{}/stat", pid));
    const auto stat = text ? os::parse_stat(*text, 100) : std::nullopt;
    if (!stat || stat->state == 'Z' || stat->state == 'X') {
      return true;
    }
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

}  // namespace keisei::testing_support
