#include "os/gpu.h"

#include <gtest/gtest.h>

namespace keisei::os {
namespace {

TEST(GpuSampler, SaysNothingWhereTheLibraryIsAbsent) {
  GpuSampler sampler(std::chrono::milliseconds(10), "libkeisei-no-such-library.so.1");
  sampler.wait_first();
  EXPECT_FALSE(sampler.latest().has_value());
}

TEST(GpuSampler, SaysNothingWhereTheLibraryIsAnotherOne) {
  GpuSampler sampler(std::chrono::milliseconds(10), "libc.so.6");
  sampler.wait_first();
  EXPECT_FALSE(sampler.latest().has_value());
}

}  // namespace
}  // namespace keisei::os
