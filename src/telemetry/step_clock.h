#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

struct keisei_progress;  // include/keisei_progress.h: the layout, also for C programs

// The learner's progress in shared memory: one writer that waits for nobody, any readers.
//
//   learner: StepClockWriter::tick ──> two cache lines of a sealed memfd ──> StepClockReader: guard
namespace keisei::telemetry {

/// What the training thread is busy with; the values are part of the shared layout.
enum class Phase : std::uint32_t {
  Idle = 0,
  RolloutEnvironment = 1,
  RolloutInference = 2,
  Update = 3,
  Checkpoint = 4,
  EvaluationSnapshot = 5,
};

inline constexpr std::size_t kPhases = 6;

/// «idle», «rollout.environment», «rollout.inference», «update», «checkpoint»,
/// «evaluation_snapshot».
[[nodiscard]] std::string_view to_string(Phase phase);

/// The writing end. One thread ticks.
class StepClockWriter {
 public:
  /// Makes the memory: a memfd of one page, sealed against shrinking and growing.
  [[nodiscard]] static Result<StepClockWriter> create();
  /// Goes on with memory made by `create` elsewhere (an inherited descriptor). Fails on anything
  /// else. The units go on from the caller's next tick.
  [[nodiscard]] static Result<StepClockWriter> attach(UniqueFd fd);

  StepClockWriter(StepClockWriter&& other) noexcept;
  StepClockWriter& operator=(StepClockWriter&& other) noexcept;
  ~StepClockWriter();

  /// Publishes the phase that begins now and the units (plies) done so far, with the monotonic
  /// time; what was done since the last tick goes to the total of the phase that ends. Wait-free,
  /// no system call, no allocation: about 30 ns.
  void tick(Phase phase, std::uint64_t units);

  /// Close-on-exec; to be sent or inherited. Lives as long as the writer.
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  StepClockWriter(UniqueFd fd, keisei_progress* page);

  UniqueFd fd_;
  keisei_progress* page_;  // mapped; null after a move
};

/// What was done in one phase so far, over all stretches of it that have ended.
struct PhaseTotal {
  std::uint64_t ticks = 0;
  std::uint64_t units = 0;
  std::chrono::nanoseconds time{0};

  friend bool operator==(const PhaseTotal&, const PhaseTotal&) = default;
};

struct StepClockReading {
  Phase phase = Phase::Idle;
  std::uint64_t units = 0;
  MonotonicTime time;  // of the tick; the epoch before the first one
  std::uint64_t ticks = 0;
  std::array<PhaseTotal, kPhases> phases = {};  // by Phase

  friend bool operator==(const StepClockReading&, const StepClockReading&) = default;
};

/// The reading end. It reads with system calls and not through a mapping: a writer that shrinks a
/// progress file must not be able to kill the reader with SIGBUS.
class StepClockReader {
 public:
  /// Fails on a file that is not a progress record of a version we know.
  [[nodiscard]] static Result<StepClockReader> attach(UniqueFd fd);

  /// A complete tick, never a torn one; about 1 us, never blocks. While one is being written (or
  /// when its writer died in the middle of it) the one before, as this reader last saw it. Fails
  /// when the file shrank, or holds a phase we do not know.
  [[nodiscard]] Result<StepClockReading> read();

  /// Of the writer, as it said itself.
  [[nodiscard]] int writer_pid() const { return writer_pid_; }

 private:
  StepClockReader(UniqueFd fd, int writer_pid) : fd_(std::move(fd)), writer_pid_(writer_pid) {}

  UniqueFd fd_;
  int writer_pid_;
  StepClockReading last_;
};

}  // namespace keisei::telemetry
