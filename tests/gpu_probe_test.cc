// The real sampler and the real keisei-gpu-probe against a library that answers, errs, hangs,
// crashes and lies.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <thread>

#include "fake_gpu.h"
#include "os/gpu.h"
#include "os/procfs.h"

namespace keisei::testing_support {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 30s;  // the machine may be busy with other work

class GpuProbe : public testing::Test {
 protected:
  [[nodiscard]] std::optional<os::GpuReading> next(os::GpuSampler& sampler) const {
    const std::array self = {getpid()};
    const MonotonicTime begin = MonotonicClock::now();
    while (MonotonicClock::now() - begin < kPatience) {
      const auto& reading = sampler.poll(MonotonicClock::now(), self);
      if (reading && reading->asked_at >= begin) {
        return reading;
      }
      std::this_thread::sleep_for(1ms);
    }
    return std::nullopt;
  }
  os::GpuShare share(const std::string& behaviour) {
    os::GpuSampler sampler(gpu_.sources(behaviour));
    const std::optional<os::GpuReading> reading = next(sampler);
    EXPECT_TRUE(reading) << behaviour << ": " << sampler.note();
    return os::share_of(reading.value_or(os::GpuReading{}), {getpid()});
  }

  FakeGpu gpu_;
};

TEST_F(GpuProbe, TellsTheShareOfOneProcessAndItsMemory) {
  const os::GpuShare own = share("answers_30");
  EXPECT_EQ(own.utilization_percent, 30);
  EXPECT_FALSE(own.device_wide);
  EXPECT_TRUE(own.complete);
  EXPECT_EQ(own.memory, megabytes(123));
}

TEST_F(GpuProbe, NotFoundIsNoUse) {
  const os::GpuShare own = share("not_found");
  EXPECT_EQ(own.utilization_percent, 0);
  EXPECT_FALSE(own.device_wide);
  EXPECT_TRUE(own.complete);
}

TEST_F(GpuProbe, WhatALibraryPrintsReachesNobody) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  EXPECT_EQ(share("noise").utilization_percent, 30);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(GpuProbe, IsDeviceWideWhereProcessesAreNotToldApart) {
  for (const char* behaviour : {"not_supported", "error_processes", "old"}) {
    const os::GpuShare wide = share(behaviour);
    EXPECT_EQ(wide.utilization_percent, 42) << behaviour;
    EXPECT_TRUE(wide.device_wide) << behaviour;
    EXPECT_TRUE(wide.complete) << behaviour;
  }
}

TEST_F(GpuProbe, TrustsNoProcessIdInAnotherNamespaceThanTheDrivers) {
  os::GpuSources sources = gpu_.sources("answers_30");
  sources.host_pids = "pid:[1]";
  os::GpuSampler sampler(sources);
  const std::optional<os::GpuReading> reading = next(sampler);
  ASSERT_TRUE(reading && reading->devices.size() == 1);
  const os::GpuShare wide = os::share_of(*reading, {getpid()});
  EXPECT_EQ(wide.utilization_percent, 42);
  EXPECT_TRUE(wide.device_wide);
  EXPECT_EQ(wide.memory, std::nullopt);
  EXPECT_NE(reading->devices[0].note.find("PID namespace"), std::string::npos);
}

TEST_F(GpuProbe, ALieAboutProcessesIsNotBelieved) {
  for (const char* behaviour :
       {"lie_over", "lie_negative", "lie_time", "lie_count", "lie_more", "lie_empty"}) {
    const os::GpuShare wide = share(behaviour);
    EXPECT_EQ(wide.utilization_percent, 42) << behaviour;
    EXPECT_TRUE(wide.device_wide) << behaviour;
  }
  EXPECT_EQ(share("lie_strangers").utilization_percent, 0);
  EXPECT_EQ(share("lie_memory").memory, std::nullopt);
}

TEST_F(GpuProbe, WhatIsNotToldIsUnknownAndNeverZero) {
  for (const char* behaviour : {"error_init", "error_count", "error_handle", "lie_devices",
                                "lie_busy", "libc", "missing", "text"}) {
    const os::GpuShare none = share(behaviour);
    EXPECT_EQ(none.utilization_percent, std::nullopt) << behaviour;
    EXPECT_FALSE(none.complete) << behaviour;
  }
}

TEST_F(GpuProbe, ABusyFigureThatFailsDoesNotHideTheOwnShare) {
  EXPECT_EQ(share("error_utilization").utilization_percent, 30);
}

TEST_F(GpuProbe, ACrashCostsAReadingAndNotTheSupervisor) {
  for (const char* behaviour : {"crash_load", "crash_init", "crash_count", "crash_utilization",
                                "crash_processes", "exit_init", "exit_processes"}) {
    os::GpuSampler sampler(gpu_.sources(behaviour));
    const std::optional<os::GpuReading> reading = next(sampler);
    ASSERT_TRUE(reading) << behaviour;
    EXPECT_TRUE(reading->devices.empty()) << behaviour;
    EXPECT_FALSE(sampler.probe()) << behaviour;
  }
}

TEST_F(GpuProbe, AHangIsEndedWhereverItIs) {
  for (const char* behaviour : {"hang_load", "hang_init", "hang_count", "hang_handle",
                                "hang_utilization", "hang_processes"}) {
    os::GpuSources sources = gpu_.sources(behaviour);
    sources.first_patience = 100ms;
    os::GpuSampler sampler(sources);
    (void)sampler.poll(MonotonicClock::now(), {});
    const std::optional<pid_t> probe = sampler.probe();
    ASSERT_TRUE(probe) << behaviour;
    const std::optional<os::GpuReading> reading = next(sampler);
    ASSERT_TRUE(reading) << behaviour;
    EXPECT_TRUE(reading->devices.empty()) << behaviour;
    EXPECT_NE(sampler.note().find("no answer"), std::string::npos) << sampler.note();
    EXPECT_FALSE(sampler.probe()) << behaviour;
    EXPECT_TRUE(ends(*probe)) << behaviour;
  }
}

TEST_F(GpuProbe, AHangAfterGoodAnswersIsSilenceAndNotTheLastAnswer) {
  os::GpuSources sources = gpu_.sources("later_20");
  sources.period = 1ms;
  sources.patience = 200ms;
  os::GpuSampler sampler(sources);
  bool answered = false;
  std::optional<os::GpuReading> reading = next(sampler);
  while (reading && !reading->devices.empty()) {
    answered = true;
    reading = next(sampler);
  }
  EXPECT_TRUE(answered);
  EXPECT_TRUE(reading) << "it never fell silent";
}

TEST_F(GpuProbe, PollingDoesNotWaitForAHangingLibrary) {
  os::GpuSampler sampler(gpu_.sources("hang_init"));
  (void)sampler.poll(MonotonicClock::now(), {});
  const MonotonicTime begin = MonotonicClock::now();
  for (int i = 0; i < 100; ++i) {
    (void)sampler.poll(MonotonicClock::now(), {});
  }
  EXPECT_LT(MonotonicClock::now() - begin, 5s);  // one call that waits would take for ever
}

TEST_F(GpuProbe, IsNotStartedAgainAtOnceAfterAFailure) {
  os::GpuSampler sampler(gpu_.sources("crash_init"));
  ASSERT_TRUE(next(sampler));
  const MonotonicTime failed = MonotonicClock::now();
  (void)sampler.poll(failed + 1s, {});
  EXPECT_FALSE(sampler.probe());
  const MonotonicTime begin = MonotonicClock::now();
  while (!sampler.probe() && MonotonicClock::now() - begin < kPatience) {
    (void)sampler.poll(failed + 60s, {});  // the first of these may still find it unreaped
  }
  EXPECT_TRUE(sampler.probe());
}

TEST_F(GpuProbe, WhatItUsesIsCountedAlsoWhenItHasEnded) {
  os::GpuSources sources = gpu_.sources("spin_utilization");
  sources.first_patience = 300ms;
  os::GpuSampler sampler(sources);
  EXPECT_EQ(sampler.cpu_seconds(), 0);
  double seen = 0;
  const MonotonicTime begin = MonotonicClock::now();
  const std::array self = {getpid()};
  (void)sampler.poll(begin, self);
  while (sampler.probe() && MonotonicClock::now() - begin < kPatience) {
    const double now = sampler.cpu_seconds();
    EXPECT_GE(now, seen);
    seen = now;
    std::this_thread::sleep_for(10ms);
    (void)sampler.poll(MonotonicClock::now(), self);
  }
  EXPECT_GT(seen, 0.01);
  EXPECT_GE(sampler.cpu_seconds(), seen);
  while (!sampler.probe() && MonotonicClock::now() - begin < kPatience) {
    // A later time lets it start the next one, which it does not before the last was reaped.
    (void)sampler.poll(MonotonicClock::now() + 1min, self);
    EXPECT_GE(sampler.cpu_seconds(), seen);
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_TRUE(sampler.probe());
}

TEST_F(GpuProbe, LeavesNoProcessAndNoDescriptorBehind) {
  const std::array self = {getpid()};
  const auto descriptors = [] {
    const std::filesystem::directory_iterator entries("/proc/self/fd");
    return std::distance(begin(entries), end(entries));
  };
  const auto before = descriptors();
  for (const char* behaviour : {"answers_1", "hang_init"}) {
    std::optional<pid_t> probe;
    {
      os::GpuSampler sampler(gpu_.sources(behaviour));
      (void)sampler.poll(MonotonicClock::now(), self);
      probe = sampler.probe();
      ASSERT_TRUE(probe);
    }
    EXPECT_TRUE(ends(*probe)) << behaviour;
  }
  EXPECT_EQ(descriptors(), before);
}

TEST_F(GpuProbe, DiesWithItsSupervisorAlsoInsideTheLibrary) {
  std::array<int, 2> ends_of_pipe = {};
  ASSERT_EQ(pipe(ends_of_pipe.data()), 0);
  const pid_t supervisor = fork();
  if (supervisor == 0) {
    os::GpuSampler sampler(gpu_.sources("hang_init"));
    (void)sampler.poll(MonotonicClock::now(), {});
    const pid_t probe = sampler.probe().value_or(-1);
    std::this_thread::sleep_for(300ms);  // so that it is inside, or soon will be
    (void)!write(ends_of_pipe[1], &probe, sizeof probe);
    pause();
    _exit(0);
  }
  close(ends_of_pipe[1]);
  pid_t probe = -1;
  ASSERT_EQ(read(ends_of_pipe[0], &probe, sizeof probe), ssize_t{sizeof probe});
  close(ends_of_pipe[0]);
  ASSERT_GT(probe, 0);
  kill(supervisor, SIGKILL);
  waitpid(supervisor, nullptr, 0);
  EXPECT_TRUE(ends(probe));
}

TEST_F(GpuProbe, DescribesWhatItFound) {
  const os::GpuSupport support = os::describe_gpu(gpu_.sources("not_supported"));
  EXPECT_TRUE(support.present && support.measurable && support.device_wide && support.memory);
  EXPECT_FALSE(support.own_share);
  EXPECT_NE(support.detail.find("Fake GPU"), std::string::npos) << support.detail;
  os::GpuSources hanging = gpu_.sources("hang_init");
  hanging.first_patience = 100ms;
  const os::GpuSupport silent = os::describe_gpu(hanging);
  EXPECT_TRUE(silent.present);
  EXPECT_FALSE(silent.measurable || silent.own_share || silent.device_wide || silent.memory);
  EXPECT_NE(silent.detail.find("no answer"), std::string::npos) << silent.detail;
}

}  // namespace
}  // namespace keisei::testing_support
