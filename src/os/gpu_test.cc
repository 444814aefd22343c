#include "os/gpu.h"

#include <gtest/gtest.h>

namespace keisei::os {
namespace {

TEST(GpuSampler, StartsNothingWhereThereIsNoGpu) {
  GpuSampler sampler({.nvidia = "/nonexistent/nvidiactl", .drm = "/nonexistent/drm"});
  EXPECT_FALSE(sampler.poll(MonotonicClock::now(), {}).has_value());
  EXPECT_TRUE(sampler.absent());
  EXPECT_FALSE(sampler.probe());
  EXPECT_NE(sampler.note().find("no GPU"), std::string::npos);
}

TEST(GpuSampler, DescribesAHostWithoutAGpu) {
  const GpuSupport support =
      describe_gpu({.nvidia = "/nonexistent/nvidiactl", .drm = "/nonexistent/drm"});
  EXPECT_FALSE(support.present || support.own_share || support.device_wide || support.memory);
  EXPECT_NE(support.detail.find("no GPU"), std::string::npos);
}

TEST(GpuSampler, TheProbeSeesNoWordThatLeadsTheLoaderIntoTheWorkingDirectory) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(probe_environment(Words{"PATH=/bin", "LD_PRELOAD=/evil.so", "LD_AUDIT=x", "A=b"}),
            Words{});
  EXPECT_EQ(probe_environment(Words{"LD_LIBRARY_PATH=/a/b:"}), Words{"LD_LIBRARY_PATH=/a/b"});
  EXPECT_EQ(probe_environment(Words{"LD_LIBRARY_PATH=:relative:/a::/b;./c;$ORIGIN"}),
            Words{"LD_LIBRARY_PATH=/a:/b"});
  EXPECT_EQ(probe_environment(Words{"LD_LIBRARY_PATH=:"}), Words{});
}

}  // namespace
}  // namespace keisei::os
