#include "os/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace keisei::os {
namespace {

bool is_null(int fd) {
  struct stat status = {};
  return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

TEST(Program, OpensTheStandardDescriptorsThatAreMissing) {
  const auto start_without = [](int first, int second) {
    close(first);
    close(second);
    open_missing_standard_descriptors();
    const bool closed_the_rest = fcntl(STDERR_FILENO + 1, F_GETFD) < 0;
    _exit(is_null(first) && is_null(second) && closed_the_rest ? 0 : 1);
  };
  EXPECT_EXIT((close_range(3, ~0U, 0), start_without(0, 1)), testing::ExitedWithCode(0), "");
  EXPECT_EXIT((close_range(3, ~0U, 0), start_without(1, 2)), testing::ExitedWithCode(0), "");
  EXPECT_EXIT((close_range(3, ~0U, 0), start_without(0, 2)), testing::ExitedWithCode(0), "");
}

TEST(Program, KnowsTheDescriptorsThatItWasGiven) {
  const std::vector<int> before = inherited_descriptors().value();
  const int ours = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int given = fcntl(ours, F_DUPFD, 150);
  std::vector<int> expected = before;
  expected.push_back(given);
  std::ranges::sort(expected);
  EXPECT_EQ(inherited_descriptors().value(), expected);
  close(ours);
  close(given);
}

}  // namespace
}  // namespace keisei::os
