#include "app/guard_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keisei::app {
namespace {

using testing::HasSubstr;

constexpr Bytes kHost = megabytes(8000);

TEST(GuardOptions, TakesBothKindsOfUnits) {
  const auto limits = limits_of(
      {.timeout = "1.5m", .memory = "64MiB", .cpu = "150%", .processes = "7", .file_size = "2 GB"},
      kHost);
  ASSERT_TRUE(limits) << limits.error().message;
  EXPECT_EQ(limits->timeout, std::chrono::seconds(90));
  EXPECT_EQ(limits->memory, Bytes{64 << 20});
  EXPECT_EQ(limits->cpu_percent, 150);
  EXPECT_EQ(limits->processes, 7);
  EXPECT_EQ(limits->file_size, megabytes(2000));
}

TEST(GuardOptions, LeavesOutWhatWasLeftOut) {
  const auto limits = limits_of({}, kHost);
  ASSERT_TRUE(limits) << limits.error().message;
  EXPECT_EQ(limits->timeout, std::chrono::seconds(300));
  EXPECT_EQ(limits->memory, megabytes(500));
  EXPECT_FALSE(limits->cpu_percent || limits->processes || limits->file_size);
}

TEST(GuardOptions, NamesTheOptionAndItsValue) {
  const auto limits = limits_of({.memory = "9GB", .processes = "none"}, kHost);
  ASSERT_FALSE(limits);
  EXPECT_EQ(limits.error().kind, ErrorKind::Usage);
  EXPECT_THAT(limits.error().message, HasSubstr("--memory '9GB'"));
  EXPECT_THAT(limits.error().message, HasSubstr("8 GB"));
}

TEST(GuardOptions, WantsAUnitOnSizesOnly) {
  EXPECT_TRUE(limits_of({.timeout = "300"}, kHost));
  const auto limits = limits_of({.memory = "500"}, kHost);
  ASSERT_FALSE(limits);
  EXPECT_THAT(limits.error().message, HasSubstr("500MB"));
}

}  // namespace
}  // namespace keisei::app
