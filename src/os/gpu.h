#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "os/gpu_reading.h"

namespace keisei::os {

/// Where GPUs are looked for, and how long they may take. Only a test, or a person who knows why,
/// needs another value; none of them comes from an environment.
struct GpuSources {
  std::string nvml = "libnvidia-ml.so.1";           ///< as dlopen takes it
  std::filesystem::path nvidia = "/dev/nvidiactl";  ///< without it there is no NVIDIA driver
  std::filesystem::path drm = "/sys/class/drm";
  /// /proc/self/ns/pid where process ids are those that NVML tells: the kernel's own namespace is
  /// the only one whose inode number is fixed (linux/nsfs.h).
  std::string host_pids = "pid:[4026531836]";
  std::chrono::nanoseconds period = std::chrono::milliseconds(500);
  std::chrono::nanoseconds first_patience = std::chrono::seconds(15);  ///< drivers load slowly
  std::chrono::nanoseconds patience = std::chrono::seconds(2);
};

/// Asks keisei-gpu-probe, a process of its own, because a driver's library may hang, crash or leak,
/// and a thread inside one cannot be ended.
///
///   poll(pids) ──question──> keisei-gpu-probe (NVML, DRM) ──answer──> latest reading
///
/// The probe is started by the first poll() where there is a GPU at all, killed when it does not
/// answer in time (and tried again later, at growing intervals), and dies with the thread that
/// started it. No function blocks. Not thread-safe.
class GpuSampler {
 public:
  explicit GpuSampler(GpuSources sources = {});
  /// Kills the probe. Waits for its end, 500 ms at most: one that the kernel cannot end, inside a
  /// driver, is left to it.
  ~GpuSampler();
  GpuSampler(const GpuSampler&) = delete;
  GpuSampler& operator=(const GpuSampler&) = delete;

  /// Takes what was answered, and asks about `pids` with the next question, which is due every
  /// `period`. The newest reading; nothing where there is no GPU and before the first answer.
  const std::optional<GpuReading>& poll(MonotonicTime now, std::span<const pid_t> pids);

  /// Of all probes so far, those that have ended included. Never falls.
  [[nodiscard]] double cpu_seconds();

  /// What the last answer or failure had to say; for people.
  [[nodiscard]] const std::string& note() const { return note_; }
  [[nodiscard]] bool absent() const { return absent_; }
  /// The living probe, for tests.
  [[nodiscard]] std::optional<pid_t> probe() const;

 private:
  struct Probe {
    pid_t pid = 0;
    UniqueFd pidfd;
    UniqueFd socket;
    int answers = 0;
    double cpu = 0;  // seconds, when last looked at
  };
  [[nodiscard]] bool anything_there() const;
  [[nodiscard]] Result<Probe> start() const;
  void try_start(MonotonicTime now);
  void hear(MonotonicTime now);
  void take(std::string_view text, MonotonicTime now);
  void ask(MonotonicTime now);
  void fail_probe(MonotonicTime now, std::string why);
  void retire();
  [[nodiscard]] bool previous_is_gone();

  const GpuSources sources_;
  std::optional<Probe> probe_;
  std::optional<Probe> dying_;  // killed, not yet reaped
  std::unordered_set<pid_t> wanted_;
  std::optional<MonotonicTime> asked_at_;  // set while an answer is due
  MonotonicTime next_question_{};
  MonotonicTime next_start_{};
  int failures_ = 0;      // in a row
  double ended_cpu_ = 0;  // of probes that are gone
  bool absent_ = false;
  std::optional<GpuReading> latest_;
  std::string note_;
  std::string answer_;  // as it comes in
};

/// The environment of the probe: of the supervisor's only LD_LIBRARY_PATH, and of that only what
/// cannot mean the working directory.
[[nodiscard]] std::vector<std::string> probe_environment(std::span<const std::string> own);

/// What this host can tell about its GPUs.
struct GpuSupport {
  bool present = false;
  bool measurable = false;   ///< some device tells something
  bool own_share = false;    ///< of each process, on every device
  bool device_wide = false;  ///< of everybody, on every device
  bool memory = false;       ///< of each process
  std::string detail;        ///< one line a device; or why nothing is known
};
/// Asks once. Blocks until the answer, or until `sources.first_patience` has passed.
[[nodiscard]] GpuSupport describe_gpu(const GpuSources& sources = {});

}  // namespace keisei::os
