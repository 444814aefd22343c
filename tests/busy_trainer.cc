#include "busy_trainer.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <barrier>
#include <thread>
#include <vector>

#include "base/check.h"

namespace keisei::testing_support {
namespace {

constexpr int kSide = 96;  // three matrices of 96 x 96 float32: 110 kB
constexpr int kRounds = 24;
constexpr int kLinks = 1'500'000;

telemetry::StepClockReader open_reader(int fd) {
  auto reader = telemetry::StepClockReader::attach(UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0)));
  KEISEI_CHECK(reader, "{}", reader.error().message);
  return std::move(*reader);
}

telemetry::StepClockWriter make_clock() {
  auto clock = telemetry::StepClockWriter::create();
  KEISEI_CHECK(clock, "{}", clock.error().message);
  return std::move(*clock);
}

class Matrices {
 public:
  Matrices() : a_(kSide * kSide, 1.0F), b_(kSide * kSide, 0.5F), c_(kSide * kSide) {}

  void step() {
    for (int round = 0; round < kRounds; ++round) {
      for (int i = 0; i < kSide; ++i) {
        for (int k = 0; k < kSide; ++k) {
          const float factor = a_[static_cast<std::size_t>(i * kSide + k)];
          for (int j = 0; j < kSide; ++j) {
            c_[static_cast<std::size_t>(i * kSide + j)] +=
                factor * b_[static_cast<std::size_t>(k * kSide + j)];
          }
        }
      }
      asm volatile("" : : "r"(c_.data()) : "memory");
    }
  }

 private:
  std::vector<float> a_, b_, c_;
};

class Chain {
 public:
  void step() {
    for (int link = 0; link < kLinks; ++link) {
      value_ = value_ * 6364136223846793005U + 1442695040888963407U;
      asm volatile("" : "+r"(value_));
    }
  }

 private:
  std::uint64_t value_ = 1;
};

template <typename Work>
[[noreturn]] void train(telemetry::StepClockWriter& clock, int threads) {
  std::uint64_t units = 0;
  const auto tick = [&]() noexcept { clock.tick(telemetry::Phase::Update, ++units); };
  std::barrier together(threads, tick);
  const auto work = [&together] {
    Work own;
    while (true) {
      own.step();
      together.arrive_and_wait();
    }
  };
  std::vector<std::jthread> others;
  for (int i = 1; i < threads; ++i) {
    others.emplace_back(work);
  }
  work();
  _exit(0);
}

}  // namespace

BusyTrainer::BusyTrainer(int threads, StepWork work)
    : clock_(make_clock()), own_(open_reader(clock_.fd())) {
  const pid_t parent = getpid();
  pid_ = fork();
  KEISEI_CHECK(pid_ >= 0, "fork");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || setsid() < 0) {
      _exit(1);
    }
    // Its own attachment says whose clock it is.
    auto attached =
        telemetry::StepClockWriter::attach(UniqueFd(fcntl(clock_.fd(), F_DUPFD_CLOEXEC, 0)));
    KEISEI_CHECK(attached, "{}", attached.error().message);
    switch (work) {
      case StepWork::Matrices:
        train<Matrices>(*attached, threads);
      case StepWork::Chain:
        train<Chain>(*attached, threads);
    }
  }
  while (steps() == 0) {
    usleep(1000);
  }
}

BusyTrainer::~BusyTrainer() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

telemetry::StepClockReader BusyTrainer::reader() const { return open_reader(clock_.fd()); }

std::uint64_t BusyTrainer::steps() {
  const auto reading = own_.read();
  KEISEI_CHECK(reading, "{}", reading.error().message);
  return reading->units;
}

}  // namespace keisei::testing_support
