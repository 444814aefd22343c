#include "beside_trainer.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <new>

#include "base/check.h"
#include "base/clock.h"

namespace keisei::testing_support {
namespace {

constexpr auto kStep = std::chrono::milliseconds(2);
constexpr int kStepsPerFork = 25;

telemetry::StepClockWriter make_clock() {
  Result<telemetry::StepClockWriter> clock = telemetry::StepClockWriter::create();
  KEISEI_CHECK(clock, "the trainer's clock: {}", clock.error().message);
  return std::move(*clock);
}

telemetry::StepClockReader read_clock(int fd) {
  Result<telemetry::StepClockReader> reader =
      telemetry::StepClockReader::attach(UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0)));
  KEISEI_CHECK(reader, "the trainer's clock: {}", reader.error().message);
  return std::move(*reader);
}

bool fork_and_wait() {
  const pid_t child = fork();
  if (child == 0) {
    _exit(0);
  }
  return child > 0 && waitpid(child, nullptr, 0) == child;
}

}  // namespace

struct BesideTrainer::Shared {
  std::atomic<std::int64_t> largest_gap_ns{0};
  std::atomic<int> failed_forks{0};

  [[noreturn]] void train(telemetry::StepClockWriter& clock) {
    MonotonicTime last = MonotonicClock::now();
    for (std::uint64_t step = 1;; ++step) {
      clock.tick(telemetry::Phase::RolloutEnvironment, step);
      const MonotonicTime now = MonotonicClock::now();
      largest_gap_ns = std::max<std::int64_t>(largest_gap_ns, (now - last).count());
      last = now;
      if (step % kStepsPerFork == 0 && !fork_and_wait()) {
        ++failed_forks;
      }
      const timespec pause = {.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(kStep).count()};
      nanosleep(&pause, nullptr);
    }
  }
};

BesideTrainer::BesideTrainer() : clock_(make_clock()), reader_(read_clock(clock_.fd())) {
  void* page =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  KEISEI_CHECK(page != MAP_FAILED, "mmap");
  shared_ = new (page) Shared;
  pid_ = fork();
  KEISEI_CHECK(pid_ >= 0, "fork");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    shared_->train(clock_);
  }
}

BesideTrainer::~BesideTrainer() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  munmap(shared_, sizeof(Shared));
}

BesideTrainer::Account BesideTrainer::account() {
  Account account;
  const Result<telemetry::StepClockReading> reading = reader_.read();
  KEISEI_CHECK(reading, "the trainer's clock: {}", reading.error().message);
  account.ticks = reading->ticks;
  account.largest_gap = std::max<std::chrono::nanoseconds>(
      std::chrono::nanoseconds(shared_->largest_gap_ns.load()),
      reading->ticks > 0 ? MonotonicClock::now() - reading->time : std::chrono::nanoseconds(0));
  account.failed_forks = shared_->failed_forks;
  siginfo_t ended = {};  // left for the destructor to reap
  account.alive =
      waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
      ended.si_pid == 0;
  return account;
}

}  // namespace keisei::testing_support
