#include "os/child.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>

#include "os/program.h"

namespace keisei::os {
namespace {

ChildSpec shell(const std::string& script) {
  return {.argv = {"/bin/sh", "-c", script}, .environment = current_environment(), .fds = {}};
}

TEST(Child, ReportsTheExitCode) {
  Result<Child> child = Child::spawn(shell("exit 3"));
  ASSERT_TRUE(child) << child.error().message;
  EXPECT_EQ(child->wait().code, 3);
  EXPECT_EQ(child->wait().code, 3);
}

TEST(Child, ReportsTheSignalThatEndedIt) {
  Result<Child> child = Child::spawn(shell("kill -SEGV $$"));
  ASSERT_TRUE(child);
  const ExitStatus status = child->wait();
  EXPECT_EQ(status.signal, SIGSEGV);
  EXPECT_EQ(status.code, std::nullopt);
  EXPECT_THAT(to_string(status), testing::HasSubstr("signal 11"));
}

TEST(Child, WhatIsBlockedWaitsUntilTheProgramWantsIt) {
  ChildSpec spec = shell("kill -TERM $$; exit 3");
  spec.blocked = {SIGTERM};
  Result<Child> child = Child::spawn(spec);
  ASSERT_TRUE(child);
  EXPECT_EQ(child->wait().code, 3);
  spec.blocked = {SIGINT};
  child = Child::spawn(spec);
  ASSERT_TRUE(child);
  EXPECT_EQ(child->wait().signal, SIGTERM);
}

TEST(Child, FailsWhereTheProgramIsMissing) {
  const Result<Child> child =
      Child::spawn({.argv = {"/nonexistent/program"}, .environment = {}, .fds = {}});
  ASSERT_FALSE(child);
  EXPECT_THAT(child.error().message, testing::HasSubstr("/nonexistent/program"));
}

TEST(Child, InheritsTheMappedDescriptorsAndNoOthers) {
  std::array<int, 2> pipe_fds;
  ASSERT_EQ(pipe(pipe_fds.data()), 0);  // not close-on-exec: the child must close them
  UniqueFd reader(pipe_fds[0]);
  UniqueFd writer(pipe_fds[1]);
  ChildSpec spec = shell("ls /proc/self/fd | tr '\\n' ' ' >&7");
  spec.fds = {{writer.get(), 7}};
  Result<Child> child = Child::spawn(spec);
  ASSERT_TRUE(child);
  writer.reset();
  EXPECT_EQ(child->wait().code, 0);
  std::array<char, 64> text{};
  ASSERT_GT(read(reader.get(), text.data(), text.size() - 1), 0);
  EXPECT_STREQ(text.data(), "0 1 2 3 7 ");  // 3 is the directory that ls reads
}

TEST(Child, SwapsDescriptorsThatOverlap) {
  const UniqueFd first(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const UniqueFd second(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  ChildSpec spec =
      shell(fmt::format("[ $(readlink /proc/self/fd/{}) = /dev/zero ] && [ $(readlink "
                        "/proc/self/fd/{}) = /dev/null ]",
                        first.get(), second.get()));
  spec.fds = {{second.get(), first.get()}, {first.get(), second.get()}};
  Result<Child> child = Child::spawn(spec);
  ASSERT_TRUE(child);
  EXPECT_EQ(child->wait().code, 0);
}

TEST(Child, IsKilledAndReapedWhenItsOwnerForgetsIt) {
  pid_t pid = -1;
  {
    const Result<Child> child = Child::spawn(shell("exec sleep 1000"));
    ASSERT_TRUE(child);
    pid = child->pid();
  }
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST(Child, PollsWithoutBlocking) {
  Result<Child> child = Child::spawn(shell("exec sleep 1000"));
  ASSERT_TRUE(child);
  EXPECT_EQ(child->poll(), std::nullopt);
  child->signal(SIGTERM);
  EXPECT_EQ(child->wait().signal, SIGTERM);
}

}  // namespace
}  // namespace keisei::os
