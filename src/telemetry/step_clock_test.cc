#include "telemetry/step_clock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <keisei_progress.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>

namespace keisei::telemetry {
namespace {

UniqueFd duplicate(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

UniqueFd memory_of(const keisei_progress& progress) {
  UniqueFd fd(::memfd_create("progress", MFD_CLOEXEC));
  EXPECT_EQ(::pwrite(fd.get(), &progress, sizeof progress, 0),
            static_cast<ssize_t>(sizeof progress));
  return fd;
}

keisei_progress initialised() {
  keisei_progress progress{};
  keisei_progress_init(&progress, 77);
  return progress;
}

TEST(StepClock, ReadsBackTheLastTick) {
  auto writer = StepClockWriter::create().value();
  auto reader = StepClockReader::attach(duplicate(writer.fd())).value();
  const MonotonicTime before = MonotonicClock::now();
  writer.tick(Phase::RolloutInference, 128);
  writer.tick(Phase::Update, 256);
  const StepClockReading reading = reader.read().value();
  EXPECT_EQ(reading.phase, Phase::Update);
  EXPECT_EQ(reading.units, 256u);
  EXPECT_EQ(reading.ticks, 2u);
  EXPECT_GE(reading.time, before);
  EXPECT_LE(reading.time, MonotonicClock::now());
  EXPECT_EQ(reader.writer_pid(), ::getpid());
}

TEST(StepClock, IsIdleBeforeTheFirstTick) {
  auto writer = StepClockWriter::create().value();
  auto reader = StepClockReader::attach(duplicate(writer.fd())).value();
  EXPECT_EQ(reader.read().value(), StepClockReading{});
}

TEST(StepClock, GoesOnWhereAnEarlierWriterStopped) {
  auto first = StepClockWriter::create().value();
  first.tick(Phase::Update, 10);
  auto second = StepClockWriter::attach(duplicate(first.fd())).value();
  second.tick(Phase::Checkpoint, 20);
  auto reader = StepClockReader::attach(duplicate(first.fd())).value();
  EXPECT_EQ(reader.read().value().ticks, 2u);
  EXPECT_EQ(reader.read().value().units, 20u);
}

TEST(StepClock, CountsWhatWasDoneInThePhaseThatATickEnds) {
  auto writer = StepClockWriter::create().value();
  auto reader = StepClockReader::attach(duplicate(writer.fd())).value();
  writer.tick(Phase::RolloutInference, 100);  // before it there is no phase to count for
  writer.tick(Phase::RolloutInference, 132);
  writer.tick(Phase::Update, 164);
  writer.tick(Phase::RolloutInference, 164);
  const StepClockReading reading = reader.read().value();
  const PhaseTotal rollout = reading.phases[static_cast<std::size_t>(Phase::RolloutInference)];
  const PhaseTotal update = reading.phases[static_cast<std::size_t>(Phase::Update)];
  EXPECT_EQ(rollout.ticks, 2u);
  EXPECT_EQ(rollout.units, 64u);
  EXPECT_EQ(update.ticks, 1u);
  EXPECT_EQ(update.units, 0u);
  EXPECT_GT(update.time.count(), 0);
  EXPECT_EQ(reading.phases[static_cast<std::size_t>(Phase::Idle)], PhaseTotal{});
}

TEST(StepClock, CountsNoUnitsWhereTheyGoBack) {
  auto writer = StepClockWriter::create().value();
  auto reader = StepClockReader::attach(duplicate(writer.fd())).value();
  writer.tick(Phase::Update, 100);
  writer.tick(Phase::Update, 40);
  writer.tick(Phase::Update, 50);
  EXPECT_EQ(reader.read().value().phases[static_cast<std::size_t>(Phase::Update)].units, 10u);
}

TEST(StepClock, ReaderNeverSeesATornTick) {
  auto writer = StepClockWriter::create().value();
  auto reader = StepClockReader::attach(duplicate(writer.fd())).value();
  std::atomic<bool> stop = false;
  std::thread training([&] {
    for (std::uint64_t units = 1; !stop.load(std::memory_order_relaxed); ++units) {
      writer.tick(static_cast<Phase>(units % 6), units);
    }
  });
  std::uint64_t seen = 0;
  for (int i = 0; i < 20'000; ++i) {
    const StepClockReading reading = reader.read().value();
    // The three fields of one tick determine each other.
    EXPECT_EQ(reading.units, reading.ticks);
    EXPECT_EQ(static_cast<std::uint64_t>(reading.phase), reading.units % 6);
    EXPECT_GE(reading.ticks, seen);
    seen = reading.ticks;
  }
  stop = true;
  training.join();
}

TEST(StepClock, ReaderKeepsTheTickBeforeOneWhoseWriterDied) {
  auto writer = StepClockWriter::create().value();
  writer.tick(Phase::Update, 5);
  auto reader = StepClockReader::attach(duplicate(writer.fd())).value();
  const StepClockReading complete = reader.read().value();
  void* page =
      ::mmap(nullptr, KEISEI_PROGRESS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, writer.fd(), 0);
  auto* progress = static_cast<keisei_progress*>(page);
  __atomic_store_n(&progress->sequence, 3, __ATOMIC_RELAXED);
  __atomic_store_n(&progress->units, 999, __ATOMIC_RELEASE);
  EXPECT_EQ(reader.read().value(), complete);
  ::munmap(page, KEISEI_PROGRESS_SIZE);
}

TEST(StepClock, WriterCannotShrinkTheMemoryUnderAReader) {
  auto writer = StepClockWriter::create().value();
  EXPECT_NE(::ftruncate(writer.fd(), 0), 0);
}

TEST(StepClock, ReadsWhatACProgramWrites) {
  keisei_progress progress = initialised();
  keisei_progress_tick(&progress, KEISEI_PHASE_CHECKPOINT, 42);
  auto reader = StepClockReader::attach(memory_of(progress)).value();
  EXPECT_EQ(reader.read().value().phase, Phase::Checkpoint);
  EXPECT_EQ(reader.read().value().units, 42u);
  EXPECT_EQ(reader.writer_pid(), 77);
}

TEST(StepClock, RefusesWhatIsNotAProgressRecord) {
  UniqueFd empty(::memfd_create("empty", MFD_CLOEXEC));
  EXPECT_FALSE(StepClockReader::attach(duplicate(empty.get())).has_value());
  EXPECT_FALSE(StepClockWriter::attach(duplicate(empty.get())).has_value());
  EXPECT_FALSE(StepClockReader::attach(memory_of(keisei_progress{})).has_value());
  keisei_progress newer = initialised();
  newer.version = 3;
  const auto attached = StepClockReader::attach(memory_of(newer));
  ASSERT_FALSE(attached.has_value());
  EXPECT_NE(attached.error().message.find("version 3"), std::string::npos);
}

TEST(StepClock, FailsWhenTheFileShrinksOrHoldsAnUnknownPhase) {
  keisei_progress progress = initialised();
  keisei_progress_tick(&progress, 6, 1);
  UniqueFd fd = memory_of(progress);
  auto reader = StepClockReader::attach(duplicate(fd.get())).value();
  EXPECT_FALSE(reader.read().has_value());
  ASSERT_EQ(::ftruncate(fd.get(), 80), 0);
  EXPECT_FALSE(reader.read().has_value());
}

}  // namespace
}  // namespace keisei::telemetry
