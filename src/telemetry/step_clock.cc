#include "telemetry/step_clock.h"

#include <fcntl.h>
#include <keisei_progress.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstddef>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace keisei::telemetry {
namespace {

constexpr off_t kTickOffset = offsetof(keisei_progress, sequence);
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW;
// A tick takes some ten nanoseconds and a try a microsecond: more tries only wait for a writer that
// was preempted in the middle.
constexpr int kTries = 8;

static_assert(sizeof(keisei_progress) == 384 && kTickOffset == 64);
static_assert(kPhases <= KEISEI_PROGRESS_PHASES);
static_assert(KEISEI_PHASE_IDLE == static_cast<int>(Phase::Idle));
static_assert(KEISEI_PHASE_ROLLOUT_ENVIRONMENT == static_cast<int>(Phase::RolloutEnvironment));
static_assert(KEISEI_PHASE_ROLLOUT_INFERENCE == static_cast<int>(Phase::RolloutInference));
static_assert(KEISEI_PHASE_UPDATE == static_cast<int>(Phase::Update));
static_assert(KEISEI_PHASE_CHECKPOINT == static_cast<int>(Phase::Checkpoint));
static_assert(KEISEI_PHASE_EVALUATION_SNAPSHOT == static_cast<int>(Phase::EvaluationSnapshot));

/// All behind the first cache line, as it lies in the file.
struct Tick {
  std::uint64_t sequence;
  std::uint64_t units;
  std::uint64_t time_ns;
  std::uint32_t phase;
  std::array<std::uint32_t, 9> reserved;
  std::array<keisei_phase_total, kPhases> phases;
};
static_assert(offsetof(Tick, phases) == offsetof(keisei_progress, phases) - kTickOffset);

bool same(const Tick& a, const Tick& b) { return std::memcmp(&a, &b, sizeof a) == 0; }

StepClockReading reading_of(const Tick& tick) {
  StepClockReading reading{.phase = static_cast<Phase>(tick.phase),
                           .units = tick.units,
                           .time = MonotonicTime(std::chrono::nanoseconds(tick.time_ns)),
                           .ticks = tick.sequence / 2};
  for (std::size_t i = 0; i < kPhases; ++i) {
    reading.phases[i] = {.ticks = tick.phases[i].ticks,
                         .units = tick.phases[i].units,
                         .time = std::chrono::nanoseconds(tick.phases[i].time_ns)};
  }
  return reading;
}

template <typename T>
Result<T> read_at(int fd, off_t offset) {
  T value{};
  const ssize_t got = ::pread(fd, &value, sizeof value, offset);
  if (got < 0) {
    return fail_errno("reading the training progress");
  }
  if (static_cast<std::size_t>(got) < sizeof value) {
    return fail(
        "the training progress file holds {} bytes at offset {}, a record has {}: it was cut "
        "short, or is not a progress file (see keisei_progress.h)",
        got, offset, sizeof value);
  }
  return value;
}

struct Header {
  std::uint64_t magic;
  std::uint32_t version;
  std::int32_t writer_pid;
};

Result<Header> read_header(int fd) {
  KEISEI_TRY(header, read_at<Header>(fd, 0));
  if (header.magic != KEISEI_PROGRESS_MAGIC) {
    return fail("this is no training progress file: it lacks the mark of keisei_progress.h");
  }
  if (header.version != KEISEI_PROGRESS_VERSION) {
    return fail("the training progress has version {}, this keisei reads version {}",
                header.version, KEISEI_PROGRESS_VERSION);
  }
  return header;
}

Result<keisei_progress*> map_shared(int fd) {
  void* page = ::mmap(nullptr, KEISEI_PROGRESS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (page == MAP_FAILED) {
    return fail_errno("mapping the step clock");
  }
  return static_cast<keisei_progress*>(page);
}

}  // namespace

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::Idle:
      return "idle";
    case Phase::RolloutEnvironment:
      return "rollout.environment";
    case Phase::RolloutInference:
      return "rollout.inference";
    case Phase::Update:
      return "update";
    case Phase::Checkpoint:
      return "checkpoint";
    case Phase::EvaluationSnapshot:
      return "evaluation_snapshot";
  }
  return "?";
}

StepClockWriter::StepClockWriter(UniqueFd fd, keisei_progress* page)
    : fd_(std::move(fd)), page_(page) {}

StepClockWriter::StepClockWriter(StepClockWriter&& other) noexcept
    : fd_(std::move(other.fd_)), page_(std::exchange(other.page_, nullptr)) {}

StepClockWriter& StepClockWriter::operator=(StepClockWriter&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(page_, other.page_);
  return *this;
}

StepClockWriter::~StepClockWriter() {
  if (page_ != nullptr) {
    ::munmap(page_, KEISEI_PROGRESS_SIZE);
  }
}

Result<StepClockWriter> StepClockWriter::create() {
  UniqueFd fd(::memfd_create("keisei-step-clock", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) {
    return fail_errno("making the memory of the step clock");
  }
  if (::ftruncate(fd.get(), KEISEI_PROGRESS_SIZE) != 0 ||
      ::fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) {
    return fail_errno("sizing the memory of the step clock");
  }
  KEISEI_TRY(page, map_shared(fd.get()));
  keisei_progress_init(page, ::getpid());
  return StepClockWriter(std::move(fd), page);
}

Result<StepClockWriter> StepClockWriter::attach(UniqueFd fd) {
  if ((::fcntl(fd.get(), F_GET_SEALS) & kSeals) != kSeals) {
    return fail("descriptor {} is not a step clock: its size is not sealed", fd.get());
  }
  KEISEI_TRY_VOID(read_header(fd.get()).map([](const Header&) {}));
  KEISEI_TRY(page, map_shared(fd.get()));
  page->writer_pid = ::getpid();
  return StepClockWriter(std::move(fd), page);
}

void StepClockWriter::tick(Phase phase, std::uint64_t units) {
  keisei_progress_tick(page_, static_cast<std::uint32_t>(phase), units);
}

Result<StepClockReader> StepClockReader::attach(UniqueFd fd) {
  KEISEI_TRY(header, read_header(fd.get()));
  return StepClockReader(std::move(fd), header.writer_pid);
}

/// A single read may see the cache line half old and half new. Two equal reads in a row with an
/// even sequence cannot: what the first saw of an unfinished tick lies, for the second, behind the
/// odd sequence that was stored before it.
Result<StepClockReading> StepClockReader::read() {
  KEISEI_TRY(before, read_at<Tick>(fd_.get(), kTickOffset));
  for (int attempt = 0; attempt < kTries; ++attempt) {
    KEISEI_TRY(after, read_at<Tick>(fd_.get(), kTickOffset));
    if (same(after, before) && after.sequence % 2 == 0) {
      if (after.phase > KEISEI_PHASE_EVALUATION_SNAPSHOT) {
        return fail("the training progress names phase {}, which keisei_progress.h does not know",
                    after.phase);
      }
      last_ = reading_of(after);
      break;
    }
    before = after;
  }
  return last_;
}

}  // namespace keisei::telemetry
