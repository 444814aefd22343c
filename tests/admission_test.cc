// Admission over real processes that share a slots directory, and die in it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iterator>
#include <sstream>
#include <thread>

#include "base/clock.h"
#include "base/file.h"
#include "guarded_run.h"
#include "os/child.h"

namespace keisei {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

class AdmissionOverProcesses : public testing::Test {
 protected:
  struct Contest {
    int slots = 1;
    int queue = 100;
    int runs = 1;
    std::string script = {};
  };

  AdmissionOverProcesses() {
    fs::create_directories(running());
    fs::create_directories(runs_.slots());
  }

  [[nodiscard]] fs::path running() const { return runs_.directory() / "running"; }
  [[nodiscard]] fs::path output() const { return runs_.directory() / "out"; }

  /// Another process that asks for runs; all write into one file, in the order of what happens.
  os::Child contend(const Contest& contest) {
    const UniqueFd out(open(output().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    const std::vector<std::string> argv = {testing_support::adversary_path("contend").string(),
                                           runs_.slots().string(),
                                           std::to_string(contest.slots),
                                           std::to_string(contest.queue),
                                           std::to_string(contest.runs),
                                           "/bin/sh",
                                           "-c",
                                           contest.script,
                                           runs_.cookie()};
    Result<os::Child> child =
        os::Child::spawn({.argv = argv,
                          .environment = runs_.environment(),
                          .fds = {{null.get(), 0}, {out.get(), 1}, {null.get(), 2}}});
    EXPECT_TRUE(child) << child.error().message;
    return std::move(*child);
  }

  /// Takes slot 0 away, as another process would.
  [[nodiscard]] UniqueFd hold_slot() const {
    UniqueFd slot(
        open((runs_.slots() / "slot-0.lock").c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0644));
    EXPECT_EQ(flock(slot.get(), LOCK_EX | LOCK_NB), 0);
    return slot;
  }

  [[nodiscard]] std::string said() const { return read_file(output()).value_or(""); }
  [[nodiscard]] static int count(const fs::path& directory, std::string_view prefix = "") {
    std::error_code ignored;  // files come and go
    const fs::directory_iterator entries(directory, ignored);
    return static_cast<int>(std::count_if(begin(entries), end(entries), [&](const auto& entry) {
      return entry.path().filename().string().starts_with(prefix);
    }));
  }
  [[nodiscard]] int tickets() const { return count(runs_.slots(), "ticket-"); }

  static bool soon(const std::function<bool()>& condition) {
    const MonotonicTime deadline = MonotonicClock::now() + 60s;
    while (!condition()) {
      if (MonotonicClock::now() > deadline) {
        return false;
      }
      std::this_thread::sleep_for(2ms);
    }
    return true;
  }

  testing_support::GuardedRuns runs_;
};

TEST_F(AdmissionOverProcesses, ServesWhoeverCameFirst) {
  UniqueFd slot = hold_slot();
  std::vector<os::Child> children;
  for (int i = 0; i < 5; ++i) {
    children.push_back(contend({.script = "echo run " + std::to_string(i) + " >&1"}));
    ASSERT_TRUE(soon([&] { return tickets() == i + 1; })) << said();
  }
  slot.reset();
  for (os::Child& child : children) {
    (void)child.wait();
  }
  std::string order;
  std::istringstream lines(said());
  for (std::string line; std::getline(lines, line);) {
    order += line.starts_with("run ") ? line.substr(4) : "";
  }
  EXPECT_EQ(order, "01234") << said();
  EXPECT_EQ(tickets(), 0);
}

TEST_F(AdmissionOverProcesses, BoundsTheQueueOverAllOfThem) {
  UniqueFd slot = hold_slot();
  os::Child first = contend({.queue = 3, .runs = 2, .script = ":"});
  ASSERT_TRUE(soon([&] { return tickets() == 2; }));
  os::Child second = contend({.queue = 3, .runs = 3, .script = ":"});
  ASSERT_TRUE(soon([&] { return std::ranges::count(said(), '\n') == 2; })) << said();
  EXPECT_EQ(tickets(), 3);
  EXPECT_THAT(said(), testing::HasSubstr("Rejected 1 runs are going and 3 wait already"));
  EXPECT_THAT(said(), testing::Not(testing::HasSubstr("Finished")));
  slot.reset();
  (void)first.wait();
  (void)second.wait();
  EXPECT_EQ(tickets(), 0);
}

TEST_F(AdmissionOverProcesses, GoesOnWhenOnesThatWaitAreKilled) {
  UniqueFd slot = hold_slot();
  std::vector<os::Child> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(contend({.script = ":"}));
    ASSERT_TRUE(soon([&] { return tickets() == i + 1; }));
  }
  for (const std::size_t victim : {0, 2}) {  // the first in the queue, and one in its middle
    kill(children[victim].pid(), SIGKILL);
    (void)children[victim].wait();
  }
  slot.reset();
  EXPECT_EQ(children[1].wait().code, 0);
  EXPECT_EQ(children[3].wait().code, 0);
  EXPECT_EQ(said(), "Finished \nFinished \n");
  (void)contend({.script = ":"}).wait();  // and whoever comes next clears up
  EXPECT_EQ(tickets(), 0);
}

TEST_F(AdmissionOverProcesses, GoesOnWhenTheOneThatRunsIsKilled) {
  os::Child holder =
      contend({.script = "echo $$ > " + (running() / "pid").string() + "; exec sleep 1000"});
  ASSERT_TRUE(soon([&] { return count(running()) == 1; }));
  os::Child waiter = contend({.script = ":"});
  ASSERT_TRUE(soon([&] { return tickets() == 1; }));
  kill(holder.pid(), SIGKILL);
  (void)holder.wait();
  EXPECT_EQ(waiter.wait().code, 0);
  EXPECT_EQ(said(), "Finished \n");
  EXPECT_TRUE(runs_.gone_soon());
}

TEST_F(AdmissionOverProcesses, NeverLetsFiveRunAtOnce) {
  const std::string script = "f=" + running().string() + "/$KEISEI_RUN; : > $f; sleep 0.05; rm $f";
  std::vector<os::Child> children;
  for (int i = 0; i < 5; ++i) {
    children.push_back(contend({.slots = 4, .runs = 10, .script = script}));
  }
  int most = 0;
  int samples = 0;
  ASSERT_TRUE(soon([&] {
    most = std::max(most, count(running()));
    ++samples;
    return std::ranges::count(said(), '\n') == 50;
  })) << said();
  for (os::Child& child : children) {
    (void)child.wait();
  }
  EXPECT_LE(most, 4) << samples << " samples";
  EXPECT_GE(most, 2) << "they ran one after the other: nothing was shown";
  EXPECT_EQ(std::ranges::count(said(), 'F'), 50) << said();
  EXPECT_EQ(tickets(), 0);
  EXPECT_EQ(runs_.free_slots(4), 4);
}

TEST_F(AdmissionOverProcesses, LosesNobodyWhenOthersDieAtAnyInstant) {
  std::vector<os::Child> victims;
  std::vector<os::Child> others;
  for (int i = 0; i < 12; ++i) {
    victims.push_back(contend({.slots = 2, .runs = 2, .script = "sleep 1000"}));
    others.push_back(contend({.slots = 2, .script = ":"}));
    std::this_thread::sleep_for(std::chrono::milliseconds(3 * i));  // another instant each time
    kill(victims.back().pid(), SIGKILL);
    (void)victims.back().wait();
  }
  for (os::Child& child : others) {
    EXPECT_EQ(child.wait().code, 0);
  }
  EXPECT_EQ(std::ranges::count(said(), 'F'), 12) << said();
  EXPECT_TRUE(runs_.gone_soon());
  EXPECT_EQ(runs_.free_slots(2), 2);
  (void)contend({.script = ":"}).wait();
  EXPECT_EQ(tickets(), 0);
}

/// To lock the queue's file is to stop the queue for as long as one likes.
TEST_F(AdmissionOverProcesses, AStrangerWhoMayOnlyReadTheDirectoryCannotStopTheQueue) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "only root can play a stranger";
  }
  ASSERT_EQ(chmod(runs_.directory().c_str(), 0755), 0);
  const auto stranger_locks = [&](mode_t directory) {
    EXPECT_EQ(chmod(runs_.slots().c_str(), directory), 0);
    if (directory == 01777) {  // files that are there are narrowed and never widened
      std::filesystem::remove(runs_.slots() / "queue.lock");
    }
    (void)contend({.script = ":"}).wait();  // makes the files, or narrows them
    const std::string lock = (runs_.slots() / "queue.lock").string();
    const std::vector<std::string> argv = {
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "flock", "--nonblock",
        lock,      "true"};
    Result<os::Child> stranger =
        os::Child::spawn({.argv = argv, .environment = runs_.environment(), .fds = {}});
    EXPECT_TRUE(stranger) << stranger.error().message;
    return stranger->wait().code == 0;
  };
  EXPECT_FALSE(stranger_locks(0755));
  EXPECT_TRUE(stranger_locks(01777));  // there it is one of those who share the slots
  EXPECT_FALSE(stranger_locks(0755));
}

TEST_F(AdmissionOverProcesses, SaysWhichFileItCannotMake) {
  if (geteuid() == 0) {
    GTEST_SKIP() << "root may write everywhere";
  }
  UniqueFd slot = hold_slot();
  const os::Child waiter = contend({.script = ":"});  // makes what is missing; killed in the end
  ASSERT_TRUE(soon([&] { return tickets() == 1; }));
  ASSERT_EQ(chmod(runs_.slots().c_str(), 0555), 0);
  (void)contend({.script = ":"}).wait();
  EXPECT_THAT(said(), testing::HasSubstr("StartFailed the slots directory (make it writable"));
  EXPECT_THAT(said(), testing::HasSubstr("Permission denied"));
  ASSERT_EQ(chmod(runs_.slots().c_str(), 0755), 0);
}

}  // namespace
}  // namespace keisei
