#include "os/session_weight.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

#include "os/procfs.h"

namespace keisei::os {
namespace {

/// A child that waits until it is killed, in a session of its own or in ours.
class Child {
 public:
  explicit Child(bool own_session) {
    std::array<int, 2> ready{};
    EXPECT_EQ(pipe(ready.data()), 0);
    pid = fork();
    if (pid == 0) {
      if (own_session) {
        setsid();
      }
      close(ready[1]);  // the parent's read ends when no writer is left
      while (true) {
        pause();
      }
    }
    close(ready[1]);
    char none = 0;
    EXPECT_EQ(read(ready[0], &none, 1), 0);
    close(ready[0]);
  }
  ~Child() {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid = -1;
};

std::string weight_of(pid_t pid) {
  const std::string line = read_proc("/proc/" + std::to_string(pid) + "/autogroup").value_or("");
  return line.substr(line.find(' ') + 1);
}

TEST(SessionWeight, IsLoweredAndLiftedForASessionOfItsOwn) {
  if (!sessions_have_weights() || geteuid() != 0) {
    GTEST_SKIP() << "this kernel gives sessions no weights, or takes few changes from this user";
  }
  const Child child(true);
  EXPECT_TRUE(set_weight({&child.pid, 1}, true));
  EXPECT_EQ(weight_of(child.pid), "nice 19\n");
  EXPECT_TRUE(set_weight({&child.pid, 1}, false));
  EXPECT_EQ(weight_of(child.pid), "nice 0\n");
}

TEST(SessionWeight, IsNeverLoweredForTheSessionOfWhoAsks) {
  if (!sessions_have_weights()) {
    GTEST_SKIP() << "this kernel gives sessions no weights";
  }
  const Child child(false);
  const std::string before = weight_of(getpid());
  EXPECT_TRUE(set_weight({&child.pid, 1}, true));
  EXPECT_EQ(weight_of(getpid()), before);
}

TEST(SessionWeight, OfNobodyIsSetAlready) { EXPECT_TRUE(set_weight({}, true)); }

}  // namespace
}  // namespace keisei::os
