#include "guard/tree_weight.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

#include "os/procfs.h"
#include "os/session_weight.h"

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

/// A process that sleeps in a session of its own.
class Sleeper {
 public:
  Sleeper() {
    const pid_t test = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::setsid();
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      while (::getppid() == test) {
        ::pause();
      }
      ::_exit(0);
    }
    while (::getsid(pid_) != pid_) {
      std::this_thread::sleep_for(1ms);
    }
  }
  ~Sleeper() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  [[nodiscard]] std::vector<pid_t> members() const { return {pid_}; }
  [[nodiscard]] bool is_low() const {
    const auto text = os::read_proc(fmt::format("/proc/{}/autogroup", pid_));
    return text && text->ends_with("nice 19\n");
  }

 private:
  pid_t pid_ = 0;
};

class TreeWeights : public testing::Test {
 protected:
  void SetUp() override {
    if (!os::sessions_have_weights()) {
      GTEST_SKIP() << "sessions have no weight here";
    }
  }
  /// Without privilege the kernel takes one change in a tenth of a second, of the whole host.
  template <typename Wanted>
  static void eventually(Wanted wanted) {
    for (int i = 0; i < 200 && !wanted(); ++i) {
      std::this_thread::sleep_for(50ms);
    }
    EXPECT_TRUE(wanted());
  }

  Sleeper sleeper_;
  TreeWeight weight_;
};

TEST_F(TreeWeights, IsLoweredWhileItRunsAndLiftedBeforeItDies) {
  eventually([&] {
    weight_.set(true, sleeper_.members(), MonotonicClock::now());
    return sleeper_.is_low();
  });
  EXPECT_TRUE(weight_.next_lift(MonotonicClock::now()));
  eventually([&] { return weight_.lift_first(sleeper_.members()); });
  EXPECT_FALSE(sleeper_.is_low());
  EXPECT_FALSE(weight_.next_lift(MonotonicClock::now()));
}

TEST_F(TreeWeights, IsLiftedWhereItsSessionWasLowFromTheBeginning) {
  eventually([&] { return os::set_weight(sleeper_.members(), true); });
  weight_.begin(TreeWeight::Start::Low);
  EXPECT_TRUE(weight_.next_lift(MonotonicClock::now()));
  eventually([&] {
    weight_.lift(sleeper_.members());
    return !weight_.next_lift(MonotonicClock::now());
  });
  EXPECT_FALSE(sleeper_.is_low());
}

TEST_F(TreeWeights, OfWhomNobodyKnowsNobodyIsLifted) {
  weight_.begin(TreeWeight::Start::Low);
  EXPECT_FALSE(weight_.lift_first({}));
  weight_.lift({});
  EXPECT_TRUE(weight_.next_lift(MonotonicClock::now())) << "it gave up";
}

TEST_F(TreeWeights, OfTheIdleClassWithoutAWeightNothingIsLifted) {
  weight_.begin(TreeWeight::Start::LowClass);
  EXPECT_FALSE(weight_.lift_first(sleeper_.members()));
  EXPECT_FALSE(weight_.next_lift(MonotonicClock::now()));
}

}  // namespace
}  // namespace keisei::guard
