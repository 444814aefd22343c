// `keisei guard --training` beside a foreign training, which reports its
// progress from Python.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "guard/training_turn.h"
#include "os/child.h"
#include "program.h"
#include "telemetry/step_clock.h"

namespace keisei::tests {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;

/// Steps of about 2 ms, for ever; under another number than its own where it is given one.
constexpr std::string_view kTraining = R"py(
import os
import sys
if len(sys.argv) > 3:
    os.getpid = lambda: int(sys.argv[3])
sys.path.insert(0, sys.argv[1])
from keisei_progress import Progress
progress, units = Progress(sys.argv[2]), 0
while True:
    sum(range(100_000))
    units += 8
    progress.tick(Progress.UPDATE, units)
)py";

/// A minute and what tells this test's command from that of another.
std::string a_minute() { return "60." + std::to_string(getpid()); }

/// The guarded command, and not the guard that names it.
std::vector<int> sleepers() {
  std::vector<int> found = processes_with(a_minute());
  std::erase_if(found, [](int pid) {
    return read_file("/proc/" + std::to_string(pid) + "/comm").value_or("") != "sleep\n";
  });
  return found;
}

class GuardTraining : public testing::Test {
 protected:
  GuardTraining() : GuardTraining(std::vector<std::string>()) {}
  /// `within`: words before the training's own; `behind`: after it.
  explicit GuardTraining(std::vector<std::string> within,
                         const std::vector<std::string>& behind = {}) {
    std::ofstream(trainer()) << kTraining;
    const UniqueFd nothing(open("/dev/null", O_RDWR | O_CLOEXEC));
    for (const std::string& word :
         {std::string("python3"), trainer(), std::string(KEISEI_INCLUDE), progress()}) {
      within.push_back(word);
    }
    within.insert(within.end(), behind.begin(), behind.end());
    Result<os::Child> training = os::Child::spawn(
        {.argv = std::move(within),
         .environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1"},
         .fds = {{nothing.get(), 0}, {nothing.get(), 1}, {2, 2}}});
    EXPECT_TRUE(training) << training.error().message;
    training_.emplace(std::move(*training));
    EXPECT_TRUE(wait_until([this] { return reading().ticks > 50; }, 20s));
  }

  [[nodiscard]] std::string trainer() const { return directory_.path() / "train.py"; }
  [[nodiscard]] std::string progress() const { return directory_.path() / "progress"; }
  [[nodiscard]] telemetry::StepClockReading reading() const {
    UniqueFd file(open(progress().c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
      return {};
    }
    auto reader = telemetry::StepClockReader::attach(std::move(file));
    return reader ? reader->read().value_or(telemetry::StepClockReading{})
                  : telemetry::StepClockReading{};
  }
  [[nodiscard]] json record(const std::string& name = "record") const {
    return json::parse(read_file(directory_.path() / name).value_or(""), nullptr, false);
  }
  Program guard(const std::string& training, std::vector<std::string> arguments,
                const std::string& record = "record") {
    arguments.insert(arguments.begin(), {"guard", "--training", training, "--report",
                                         (directory_.path() / record).string()});
    return {"keisei", std::move(arguments), directory_.path()};
  }
  /// One that has the training's turn.
  Program guard_for_a_minute() {
    Program guarded = guard(progress(), {"--impact", "100%", "--", "sleep", a_minute()});
    EXPECT_TRUE(wait_until([] { return !sleepers().empty(); }, 20s)) << guarded.err();
    return guarded;
  }
  /// Another one, which waits for that one, and says so.
  Program guard_behind_it(const std::string& training) {
    const std::vector<int> guards = processes_with((directory_.path() / "record").string());
    Program second = guard(training, {"--impact", "100%", "--", "touch", touched()}, "second");
    EXPECT_TRUE(second.wait_for_err("one at a time", 60s)) << second.err();
    EXPECT_TRUE(std::ranges::any_of(guards, [&second](int pid) {
      return second.err().find("waiting: another guard (process " + std::to_string(pid) + ")") !=
             std::string::npos;
    })) << second.err();
    return second;
  }
  [[nodiscard]] std::string touched() const { return directory_.path() / "touched"; }
  [[nodiscard]] std::string training_pid() const { return std::to_string(training_->pid()); }

  [[nodiscard]] bool is_open_in_a_guard(const std::string& file) const {
    std::error_code gone;
    for (const int pid : processes_with((directory_.path() / "record").string())) {
      for (const auto& entry :
           std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", gone)) {
        if (std::filesystem::read_symlink(entry, gone) == file) {
          return true;
        }
      }
    }
    return false;
  }

  TestDirectory directory_;
  std::optional<os::Child> training_;
};

TEST_F(GuardTraining, ReadsWhatPythonReports) {
  const telemetry::StepClockReading now = reading();
  EXPECT_EQ(now.phase, telemetry::Phase::Update);
  EXPECT_EQ(now.units, now.ticks * 8);
  const telemetry::PhaseTotal& total =
      now.phases[static_cast<std::size_t>(telemetry::Phase::Update)];
  EXPECT_EQ(total.ticks, now.ticks - 1);
  EXPECT_EQ(total.units, 8 * total.ticks);
  EXPECT_GT(total.time.count(), 0);
}

TEST_F(GuardTraining, ACommandWaitsUntilItIsEarnedThenRunsAndItsRecordHasTheImpact) {
  Program guarded = guard(progress(), {"--impact", "50%", "--", "sleep", "0.4"});
  const auto status = guarded.wait(60s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 0) << guarded.err();
  const json answer = record();
  EXPECT_EQ(answer["outcome"], "Finished") << answer;
  EXPECT_GT(answer["queue_ms"].get<double>(), 500);
  const json& impact = answer["training_impact"];
  EXPECT_EQ(impact["verdict"], "Within") << impact;
  EXPECT_GT(impact["running_s"].get<double>(), 0) << impact;
  EXPECT_LT(impact["bound"].get<double>(), 50) << impact;
  EXPECT_EQ(answer["sla"]["training_impact_percent"]["verdict"], "Met") << answer["sla"];
  EXPECT_EQ(answer["sla"]["training_impact_percent"]["limit"], 50);
  EXPECT_THAT(guarded.err(), HasSubstr("waiting: training impact: "));
  const json& certificate = answer["impact_certificate"];
  EXPECT_EQ(certificate["limit"], 0.5);
  EXPECT_TRUE(certificate["seed"].is_number_unsigned()) << certificate;
  EXPECT_GE(certificate["blocks"], impact["blocks"]);
  EXPECT_TRUE(certificate["negative_control"]["loss"].contains("upper")) << certificate;
}

TEST_F(GuardTraining, TheCommandEndsWithItsTraining) {
  Program guarded = guard(progress(), {"--impact", "100%", "--", "sleep", a_minute()});
  ASSERT_TRUE(wait_until([] { return !sleepers().empty(); }, 20s));
  training_->signal(SIGKILL);
  const auto status = guarded.wait(60s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 125);
  EXPECT_THAT(guarded.err(), HasSubstr("has ended"));
  EXPECT_EQ(record()["outcome"], "TrainerLost");
  EXPECT_THAT(sleepers(), IsEmpty());
}

TEST_F(GuardTraining, AStoppedTrainingStopsTheCommandAtOnceAndEndsItInTheEnd) {
  Program guarded = guard(progress(), {"--impact", "100%", "--", "sleep", a_minute()});
  ASSERT_TRUE(wait_until([] { return !sleepers().empty(); }, 20s));
  training_->signal(SIGSTOP);
  const auto stopped = [] {
    const std::vector<int> pids = sleepers();
    return !pids.empty() &&
           read_file("/proc/" + std::to_string(pids.front()) + "/stat").value_or("").find(") T ") !=
               std::string::npos;
  };
  EXPECT_TRUE(wait_until(stopped, 60s));
  training_->signal(SIGKILL);  // whoever has not learned a whole cycle waits a
                               // minute for silence
  const auto status = guarded.wait(60s);
  ASSERT_TRUE(status);
  EXPECT_EQ(record()["outcome"], "TrainerLost");
}

TEST_F(GuardTraining, AProcessIdAloneTellsThatTheTrainingLivesAndNothingElse) {
  Program guarded = guard(std::to_string(training_->pid()), {"--", "true"});
  const auto status = guarded.wait(60s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 0) << guarded.err();
  EXPECT_EQ(record()["training_impact"]["verdict"], "NotMeasured");
  EXPECT_FALSE(record().contains("impact_certificate"));
}

TEST_F(GuardTraining, WithoutProgressTheImpactIsUnprovenAndTheStrictestBudgetHolds) {
  Program guarded =
      guard(std::to_string(training_->pid()), {"--impact", "50%", "--", "sleep", "0.3"});
  const auto status = guarded.wait(60s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 0) << guarded.err();
  EXPECT_EQ(record()["training_impact"]["verdict"], "Unproven") << record();
  EXPECT_THAT(record()["training_impact"]["reason"].get<std::string>(), HasSubstr("no progress"));
}

/// By whatever it is named.
TEST_F(GuardTraining, OneGuardAtATimeMayCostATrainingSomething) {
  const std::string link = directory_.path() / "link";
  std::filesystem::create_symlink(progress(), link);
  for (const std::string& name : {progress(), link, training_pid()}) {
    Program first = guard_for_a_minute();
    Program second = guard_behind_it(name);
    EXPECT_FALSE(second.wait(3s)) << second.err();  // a budget of 100 % begins within a second
    EXPECT_FALSE(std::filesystem::exists(touched()));
    first.signal(SIGKILL);  // whatever ends it, the turn goes on
    ASSERT_TRUE(first.wait(60s));
    const auto status = second.wait(30s);
    ASSERT_TRUE(status);
    EXPECT_EQ(status->code, 0) << second.err();
    EXPECT_TRUE(std::filesystem::remove(touched()));
    EXPECT_GT(record("second")["queue_ms"].get<double>(), 3000);
    EXPECT_TRUE(wait_until([] { return sleepers().empty(); }, 60s));
  }
}

TEST_F(GuardTraining, ASignalTakesAWaitingGuardOutOfTheQueue) {
  const Program first = guard_for_a_minute();
  Program second = guard_behind_it(progress());
  second.signal(SIGTERM);
  const auto status = second.wait(60s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 128 + SIGTERM) << second.err();
  EXPECT_EQ(record("second")["outcome"], "Cancelled");
  EXPECT_THAT(sleepers(), testing::SizeIs(1));
}

TEST_F(GuardTraining, AWaitingGuardEndsWithTheTraining) {
  const Program first = guard_for_a_minute();
  Program second = guard_behind_it(training_pid());
  training_->signal(SIGKILL);
  const auto status = second.wait(60s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 125) << second.err();
  EXPECT_EQ(record("second")["outcome"], "TrainerLost");
  EXPECT_FALSE(std::filesystem::exists(touched()));
}

TEST_F(GuardTraining, WhoeverOnlyWatchesTheTrainingsLifeWaitsForNobody) {
  const Program first = guard_for_a_minute();
  Program second = guard(training_pid(), {"--", "true"}, "second");
  const auto status = second.wait(60s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 0) << second.err();
}

TEST_F(GuardTraining, BesideALearnerThatKeiseiTrainEvaluatesItIsRejected) {
  const Result<UniqueFd> mark = guard::mark_supervised(training_->pid());
  ASSERT_TRUE(mark) << mark.error().message;
  Program guarded = guard(progress(), {"--impact", "100%", "--", "touch", touched()});
  const auto status = guarded.wait(60s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 125);
  EXPECT_EQ(record()["outcome"], "Rejected");
  EXPECT_THAT(guarded.err(), HasSubstr("`keisei train` (process " + std::to_string(getpid())));
  EXPECT_FALSE(std::filesystem::exists(touched()));
}

/// A trainer whose own number is here this test's, which may be looked at.
class GuardTrainingUnderAnotherNumber : public GuardTraining {
 protected:
  GuardTrainingUnderAnotherNumber() : GuardTraining({}, {std::to_string(getpid())}) {}
};

TEST_F(GuardTrainingUnderAnotherNumber, ThatProcessIsNotTakenForItAndTheImpactIsUnproven) {
  Program guarded = guard(progress(), {"--impact", "50%", "--", "sleep", "0.3"});
  const auto status = guarded.wait(60s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 0) << guarded.err();
  EXPECT_EQ(record()["training_impact"]["verdict"], "Unproven") << record();
  const std::string reason = record()["training_impact"]["reason"];
  EXPECT_THAT(reason, HasSubstr("names process " + std::to_string(getpid()) +
                                ", which does not have it mapped"));
}

const std::vector<std::string> kOwnPids = {"unshare", "--user", "--map-root-user",
                                           "--pid",   "--fork", "--kill-child"};

bool can_have_own_pids() {
  const UniqueFd nothing(open("/dev/null", O_RDWR | O_CLOEXEC));
  std::vector<std::string> argv = kOwnPids;
  argv.emplace_back("true");
  Result<os::Child> child =
      os::Child::spawn({.argv = std::move(argv),
                        .environment = {"PATH=/usr/local/bin:/usr/bin:/bin"},
                        .fds = {{nothing.get(), 0}, {nothing.get(), 1}, {nothing.get(), 2}}});
  return child && child->wait().success();
}

/// A trainer whose own number is another process's here.
class GuardTrainingInAContainer : public GuardTraining {
 protected:
  GuardTrainingInAContainer()
      : GuardTraining(can_have_own_pids() ? kOwnPids : std::vector<std::string>()) {}
  void SetUp() override {
    if (!can_have_own_pids()) {
      GTEST_SKIP() << "no PID namespace of its own without root on this host";
    }
  }
};

TEST_F(GuardTrainingInAContainer, NobodyElseIsTakenForTheTrainerAndTheImpactIsUnproven) {
  Program guarded = guard(progress(), {"--impact", "50%", "--", "sleep", "0.3"});
  const auto status = guarded.wait(60s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 0) << guarded.err();
  const std::string unknown =
      std::string("names process 1, which ") +
      (read_file("/proc/1/maps") ? "does not have it mapped" : "may not be looked at");
  EXPECT_THAT(guarded.err(), HasSubstr(unknown));
  EXPECT_EQ(record()["training_impact"]["verdict"], "Unproven") << record();
  const std::string reason = record()["training_impact"]["reason"];
  EXPECT_THAT(reason, HasSubstr(unknown));
  EXPECT_THAT(reason, HasSubstr("run the guard"));
}

TEST_F(GuardTrainingInAContainer, OneGuardAtATimeMayCostItSomething) {
  Program first = guard_for_a_minute();
  Program second = guard(progress(), {"--impact", "100%", "--", "touch", touched()}, "second");
  EXPECT_TRUE(second.wait_for_err("waiting: another guard", 60s)) << second.err();
  EXPECT_FALSE(second.wait(3s)) << second.err();
  first.signal(SIGKILL);
  ASSERT_TRUE(first.wait(60s));
  const auto status = second.wait(30s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 0) << second.err();
}

TEST_F(GuardTrainingInAContainer, TheCommandEndsWhenItsProgressCannotBeReadAnyMore) {
  Program guarded = guard_for_a_minute();
  training_->signal(SIGKILL);  // or it would die of its own mapping
  ASSERT_TRUE(wait_until([this] { return processes_with(trainer()).empty(); }, 60s));
  ASSERT_EQ(truncate(progress().c_str(), 0), 0);
  const auto status = guarded.wait(60s);
  ASSERT_TRUE(status);
  EXPECT_EQ(record()["outcome"], "TrainerLost") << record();
}

TEST_F(GuardTraining, OfAFileThatNobodyWritesAnyMoreItIsMisuse) {
  const std::string left = directory_.path() / "left";
  std::filesystem::copy_file(progress(), left);
  const std::int64_t long_ago = 1;
  const UniqueFd file(open(left.c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(pwrite(file.get(), &long_ago, sizeof long_ago, 80),
            8);  // keisei_progress::time_ns
  Program guarded = guard(left, {"--impact", "50%", "--", "touch", touched()});
  const auto status = guarded.wait(60s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 125);
  EXPECT_THAT(guarded.err(), HasSubstr("no progress in the last"));
  EXPECT_FALSE(std::filesystem::exists(touched()));
}

TEST_F(GuardTraining, AProgressFileThatIsCutShortBreaksNothing) {
  Program guarded =
      guard(progress(), {"--impact", "50%", "--timeout", "30s", "--", "sleep", "0.3"});
  ASSERT_TRUE(wait_until([this] { return is_open_in_a_guard(progress()); }, 60s));
  training_->signal(SIGSTOP);  // or it would die of its own mapping
  ASSERT_EQ(truncate(progress().c_str(), 0), 0);
  const auto status = guarded.wait(90s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 0) << guarded.err();
  EXPECT_EQ(record()["training_impact"]["verdict"], "Unproven") << record();
  EXPECT_THAT(record()["training_impact"]["reason"].get<std::string>(),
              HasSubstr("cannot be read any more"));
}

}  // namespace
}  // namespace keisei::tests
