#include "os/nvml.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace keisei::os {
namespace {

constexpr std::array<pid_t, 2> kAsked = {7, 8};

NvmlProcessSample sample(unsigned pid, unsigned long long time, unsigned percent) {
  return {.pid = pid, .time = time, .sm_percent = percent};
}

TEST(NvmlSamples, AreThoseOfTheProcessesThatWereAskedAbout) {
  unsigned long long last = 10;
  const std::array samples = {sample(7, 20, 30), sample(9, 30, 60), sample(8, 25, 5)};
  const auto uses = judge_nvml_samples(samples, kAsked, last);
  ASSERT_TRUE(uses && uses->size() == 2);
  EXPECT_EQ((*uses)[0].pid, 7);
  EXPECT_DOUBLE_EQ((*uses)[0].percent, 30);
  EXPECT_DOUBLE_EQ((*uses)[1].percent, 5);
  EXPECT_EQ(last, 30U);
}

TEST(NvmlSamples, OfOneProcessCountByTheirHighest) {
  unsigned long long last = 0;
  const std::array samples = {sample(7, 20, 30), sample(7, 30, 60), sample(7, 40, 10)};
  const auto uses = judge_nvml_samples(samples, kAsked, last);
  ASSERT_TRUE(uses && uses->size() == 1);
  EXPECT_DOUBLE_EQ((*uses)[0].percent, 60);
}

TEST(NvmlSamples, NothingIsKnownWhereOneCannotBeTrue) {
  for (const NvmlProcessSample& lie :
       {sample(8, 20, 101), sample(8, 20, std::numeric_limits<unsigned>::max()), sample(8, 10, 5),
        sample(8, 0, 5)}) {
    unsigned long long last = 10;
    const std::array samples = {sample(7, 20, 30), lie};
    EXPECT_FALSE(judge_nvml_samples(samples, kAsked, last)) << lie.sm_percent << ' ' << lie.time;
    EXPECT_EQ(last, 0U);
  }
}

TEST(NvmlSamples, StrangersMayLieAsTheyLike) {
  unsigned long long last = 10;
  const std::array samples = {sample(0, 0, 4000), sample(99, 5, 300), sample(7, 11, 3),
                              sample(std::numeric_limits<unsigned>::max(), 12, 90)};
  const auto uses = judge_nvml_samples(samples, kAsked, last);
  ASSERT_TRUE(uses && uses->size() == 1);
  EXPECT_DOUBLE_EQ((*uses)[0].percent, 3);
}

TEST(NvmlMemory, IsUnknownWhereAProcessHoldsMoreThanThereIs) {
  const std::array good = {NvmlProcessMemory{7, 100}, NvmlProcessMemory{9, 100'000}};
  const auto memory = judge_nvml_memory(good, kAsked, Bytes{1000});
  ASSERT_TRUE(memory && memory->size() == 1);
  EXPECT_EQ((*memory)[0].bytes, Bytes{100});
  const std::array unknown = {NvmlProcessMemory{7, std::numeric_limits<unsigned long long>::max()}};
  EXPECT_FALSE(judge_nvml_memory(unknown, kAsked, Bytes{1000}));
}

}  // namespace
}  // namespace keisei::os
