#include "guard/quarantine.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;

/// A child that lives until it is killed; the quarantine reaps it.
pid_t fork_sleeper() {
  const pid_t child = fork();
  if (child == 0) {
    while (true) {
      pause();
    }
  }
  return child;
}

UniqueFd pidfd_of(pid_t pid) { return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))); }

asio::awaitable<void> admit_into(Admission& admission, std::shared_ptr<Quarantine> quarantine,
                                 RunControl& control, std::optional<Admittance>& result) {
  const Quarantine::Watch watch(std::move(quarantine));
  result = co_await admission.admit(control);
}

class QuarantineTest : public testing::Test {
 protected:
  void ask(std::optional<Admittance>& result) {
    asio::co_spawn(loop_, admit_into(admission_, quarantine_, control_, result), asio::detached);
    loop_.restart();
    loop_.run_for(100ms);
  }

  asio::io_context loop_;
  RunControl control_;
  Admission admission_{loop_.get_executor(), {.max_concurrent = 1, .queue = 2, .directory = {}}};
  std::shared_ptr<Quarantine> quarantine_ = Quarantine::create(loop_.get_executor());
};

TEST_F(QuarantineTest, ATreeThatNeverDiesKeepsItsSlotAndGivesItBackWhenItIsGone) {
  const pid_t child = fork_sleeper();
  std::optional<Admittance> first;
  ask(first);
  ASSERT_TRUE(first && first->permit);
  quarantine_->add(pidfd_of(child), std::move(first->permit));
  EXPECT_EQ(admission_.running(), 1);

  std::optional<Admittance> second;
  ask(second);
  EXPECT_FALSE(second);  // it waits: the tree lives
  EXPECT_EQ(quarantine_->held(), 1);

  kill(child, SIGKILL);
  loop_.restart();
  loop_.run();  // nothing but the waiting run keeps the loop going, so this returns
  ASSERT_TRUE(second && second->permit);
  EXPECT_EQ(quarantine_->held(), 0);
  EXPECT_EQ(waitpid(child, nullptr, WNOHANG), -1);  // reaped
}

TEST_F(QuarantineTest, NobodyWaitsForATreeWhoseSlotNobodyWants) {
  const pid_t child = fork_sleeper();
  std::optional<Admittance> first;
  ask(first);
  quarantine_->add(pidfd_of(child), std::move(first->permit));
  loop_.restart();
  EXPECT_EQ(loop_.run(), 0U);
  kill(child, SIGKILL);
  siginfo_t info = {};
  waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  EXPECT_EQ(quarantine_->held(), 0);
  EXPECT_EQ(admission_.running(), 0);
}

}  // namespace
}  // namespace keisei::guard
