#include "os/kill_members.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>

#include "os/child.h"
#include "os/program.h"

namespace keisei::os {
namespace {

Child sleeper() {
  auto child =
      Child::spawn({.argv = {"sleep", "60"}, .environment = current_environment(), .fds = {}});
  EXPECT_TRUE(child) << child.error().message;
  return std::move(*child);
}

TEST(KillMembers, KillsWhatIsBelowTheInit) {
  Child child = sleeper();
  const std::array members = {child.pid()};
  const std::vector<UniqueFd> killed = kill_members(getpid(), members);
  EXPECT_EQ(killed.size(), 1U);
  release_memory(killed);
  EXPECT_EQ(child.wait().signal, SIGKILL);
}

TEST(KillMembers, LeavesAloneWhatIsNotBelowTheInit) {
  Child child = sleeper();
  Child other = sleeper();
  const std::array members = {child.pid(), getpid(), pid_t{1}, pid_t{0}};
  EXPECT_TRUE(kill_members(other.pid(), members).empty());
  EXPECT_FALSE(child.poll());
}

}  // namespace
}  // namespace keisei::os
