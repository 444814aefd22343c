// No interrupt of `keisei verify` is lost, and none leaves anything: neither while an attack runs
// nor between two.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "guard/proving_ground.h"
#include "os/child.h"
#include "os/procfs.h"
#include "os/program.h"
#include "program.h"

namespace keisei::tests {
namespace {

using namespace std::chrono_literals;
using guard::Outcome;

constexpr int kNoted = 42;

std::filesystem::path keisei_program() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "keisei";
}

/// In a process of its own.
int interrupt_between_two_attacks(const std::filesystem::path& directory) {
  setenv("TMPDIR", directory.c_str(), 1);
  Result<guard::ProvingGround> ground = guard::ProvingGround::make({});
  if (!ground ||
      ground->run({ground->command("nothing")}, {}).front().record.outcome != Outcome::Finished) {
    return 1;
  }
  raise(SIGTERM);
  const auto runs =
      ground->run({ground->command("spin", {"60000"}), ground->command("nothing")}, {});
  const bool cancelled = runs.front().record.outcome == Outcome::Cancelled &&
                         runs.back().record.outcome == Outcome::Cancelled;
  return cancelled && ground->interrupted_by() == SIGTERM ? kNoted : 2;
}

TEST(ProvingGround, AnInterruptBetweenTwoAttacksCancelsTheNextOneAndLeavesNothing) {
  const TestDirectory directory;
  EXPECT_EXIT(_exit(interrupt_between_two_attacks(directory.path())),
              testing::ExitedWithCode(kNoted), "");
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

/// A command with a temporary directory of its own.
class Keisei {
 public:
  explicit Keisei(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), keisei_program().string());
    std::vector<std::string> environment = os::current_environment();
    std::erase_if(environment, [](const auto& entry) { return entry.starts_with("TMPDIR="); });
    environment.push_back("TMPDIR=" + directory_.path().string());
    const UniqueFd nothing(open("/dev/null", O_RDWR | O_CLOEXEC));
    Result<os::Child> child =
        os::Child::spawn({.argv = std::move(arguments),
                          .environment = std::move(environment),
                          .fds = {{nothing.get(), 0}, {nothing.get(), 1}, {nothing.get(), 2}}});
    EXPECT_TRUE(child) << child.error().message;
    child_.emplace(std::move(*child));
  }

  /// A process of an attack's tree is there. False where it has ended before that was seen.
  [[nodiscard]] bool wait_for_attack() { return wait_for_children(true); }
  [[nodiscard]] bool wait_for_its_end() { return wait_for_children(false); }
  [[nodiscard]] os::ExitStatus interrupt(int signal) {
    child_->signal(signal);
    return child_->wait();
  }
  [[nodiscard]] const std::filesystem::path& directory() const { return directory_.path(); }

 private:
  /// Without a pause: some of it takes a few milliseconds.
  bool wait_for_children(bool some) {
    const auto limit = std::chrono::steady_clock::now() + 20s;
    while (os::children_of(child_->pid()).empty() == some) {
      if (child_->poll() || std::chrono::steady_clock::now() > limit) {
        return false;
      }
    }
    return true;
  }

  TestDirectory directory_;
  std::optional<os::Child> child_;
};

void expect_to_end_by(int signal, Keisei& keisei, const os::ExitStatus& how) {
  const os::ExitStatus status = keisei.interrupt(signal);
  EXPECT_EQ(status, how) << os::to_string(status);
  EXPECT_TRUE(std::filesystem::is_empty(keisei.directory()));
  EXPECT_TRUE(processes_with(keisei.directory().string()).empty());
}

const std::vector<std::string> kVerify = {"verify", "--quick"};

TEST(VerifyCommand, InterruptedInAnAttackExitsWith128AndTheSignalAndLeavesNothing) {
  for (const int signal : {SIGINT, SIGTERM}) {
    Keisei verify(kVerify);
    ASSERT_TRUE(verify.wait_for_attack());
    std::this_thread::sleep_for(30ms);
    expect_to_end_by(signal, verify, {.code = 128 + signal});
  }
}

/// In steps from the end of an attack's tree on, through what is looked at afterwards.
TEST(VerifyCommand, InterruptedBetweenTwoAttacksItDoesTheSame) {
  for (int i = 0; i < 20; ++i) {
    SCOPED_TRACE(i);
    Keisei verify(kVerify);
    ASSERT_TRUE(verify.wait_for_attack());
    ASSERT_TRUE(verify.wait_for_its_end());
    std::this_thread::sleep_for(i * 300us);
    const int signal = i % 2 == 0 ? SIGINT : SIGTERM;
    expect_to_end_by(signal, verify, {.code = 128 + signal});
  }
}

/// It says what the host can do, and of a run that was ended it does not know that.
TEST(DoctorCommand, InterruptedInAnAttackItEndsByTheSignalAndLeavesNothing) {
  for (int i = 0; i < 20; ++i) {
    Keisei doctor({"doctor"});
    if (!doctor.wait_for_attack()) {
      continue;  // on a busy machine it is over before anybody looks
    }
    const os::ExitStatus status = doctor.interrupt(SIGTERM);
    EXPECT_TRUE(std::filesystem::is_empty(doctor.directory()));
    EXPECT_TRUE(processes_with(doctor.directory().string()).empty());
    if (status.signal) {  // or it was over before the signal came
      EXPECT_EQ(*status.signal, SIGTERM);
      return;
    }
  }
  FAIL() << "no attack was seen";
}

}  // namespace
}  // namespace keisei::tests
