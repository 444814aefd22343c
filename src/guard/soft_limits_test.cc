#include "guard/soft_limits.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

class SoftLimitsTest : public testing::Test {
 protected:
  SoftLimitsTest() {
    int fds[2] = {-1, -1};
    EXPECT_EQ(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    read_end_ = UniqueFd(fds[0]);
    write_end_ = UniqueFd(fds[1]);
  }
  std::string heard() {
    char bytes[8];
    const ssize_t got = read(read_end_.get(), bytes, sizeof bytes);
    return {bytes, got > 0 ? static_cast<std::size_t>(got) : 0};
  }
  static ResourceSample using_memory(Bytes memory) {
    ResourceSample sample;
    sample.memory = memory;
    return sample;
  }

  const EvaluationLimits limits_ = {.timeout = 10s, .memory = megabytes(100)};
  UniqueFd read_end_;
  UniqueFd write_end_;
};

TEST_F(SoftLimitsTest, WarnsOnceAtEightyPercentOfTheMemoryLimit) {
  SoftLimits soft(limits_, std::move(write_end_));
  soft.look(using_memory(Bytes{79'999'999}), 1s);
  EXPECT_EQ(heard(), "");
  EXPECT_FALSE(soft.memory());
  soft.look(using_memory(megabytes(80)), 2s);
  soft.look(using_memory(megabytes(70)), 3s);
  soft.look(using_memory(megabytes(90)), 4s);
  EXPECT_EQ(heard(), "m");
  EXPECT_EQ(soft.memory(), 2s);
  EXPECT_FALSE(soft.timeout());
}

TEST_F(SoftLimitsTest, WarnsOnceThatTimeRunsOut) {
  SoftLimits soft(limits_, std::move(write_end_));
  soft.look({}, 7'999ms);
  EXPECT_EQ(heard(), "");
  soft.look({}, 8s);
  soft.look({}, 9s);
  EXPECT_EQ(heard(), "t");
  EXPECT_EQ(soft.timeout(), 8s);
}

TEST_F(SoftLimitsTest, ALongRunLosesFiveSecondsAtMost) {
  EXPECT_EQ(timeout_warning_at({.timeout = 300s}), 295s);
  EXPECT_EQ(timeout_warning_at({.timeout = 1s}), 800ms);
}

TEST_F(SoftLimitsTest, AWorkerThatStuffsItsPipeHoldsNobodyUp) {
  const std::string block(1 << 16, 'x');
  while (write(write_end_.get(), block.data(), block.size()) > 0) {
  }
  SoftLimits soft(limits_, std::move(write_end_));
  soft.look(using_memory(megabytes(80)), 1s);
  EXPECT_EQ(soft.memory(), 1s);
}

}  // namespace
}  // namespace keisei::guard
