#include "guard/interrupts.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

namespace keisei::guard {
namespace {

constexpr int kHeard = 42;

[[noreturn]] void exit_if_heard(Interrupts& interrupts, int signal) {
  _exit(interrupts.heard() == signal ? kHeard : 1);
}

TEST(Interrupts, KeepsTheFirstUntilSomebodyAsks) {
  EXPECT_EXIT(
      {
        Interrupts interrupts;
        raise(SIGTERM);
        raise(SIGINT);
        exit_if_heard(interrupts, SIGTERM);
      },
      testing::ExitedWithCode(kHeard), "");
}

TEST(Interrupts, HearsNothingWhereNothingCame) { EXPECT_FALSE(Interrupts().heard()); }

TEST(Interrupts, KeepsOneThatAnotherListenerEndsWithoutSeeing) {
  EXPECT_EXIT(
      {
        Interrupts interrupts;
        {
          boost::asio::io_context loop;
          boost::asio::signal_set other(loop, SIGINT, SIGTERM);
          other.async_wait([](const boost::system::error_code&, int) {});
          raise(SIGINT);
        }
        exit_if_heard(interrupts, SIGINT);
      },
      testing::ExitedWithCode(kHeard), "");
}

TEST(Interrupts, LetsOneThatNobodyWasToldOfEndTheProcess) {
  EXPECT_EXIT(
      {
        {
          Interrupts interrupts;
          (void)interrupts.heard();
          raise(SIGINT);
          (void)interrupts.overheard();
        }
        _exit(1);
      },
      testing::KilledBySignal(SIGINT), "");
}

TEST(Interrupts, LetsOneThatWasToldEndNothing) {
  EXPECT_EXIT(
      {
        {
          Interrupts interrupts;
          raise(SIGINT);
          (void)interrupts.heard();
        }
        _exit(kHeard);
      },
      testing::ExitedWithCode(kHeard), "");
}

TEST(Interrupts, LeavesWhatComesAfterItToTheDefault) {
  EXPECT_EXIT(
      {
        { const Interrupts interrupts; }
        raise(SIGTERM);
        _exit(1);
      },
      testing::KilledBySignal(SIGTERM), "");
}

}  // namespace
}  // namespace keisei::guard
