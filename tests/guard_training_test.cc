// `keisei guard --training` beside a foreign training, which reports its progress from Python.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "os/child.h"
#include "program.h"
#include "telemetry/step_clock.h"

namespace keisei::tests {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;

/// Steps of about 2 ms, for ever.
constexpr std::string_view kTraining = R"py(
import sys
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
  GuardTraining() {
    std::ofstream(directory_.path() / "train.py") << kTraining;
    const UniqueFd nothing(open("/dev/null", O_RDWR | O_CLOEXEC));
    Result<os::Child> training = os::Child::spawn(
        {.argv = {"python3", (directory_.path() / "train.py").string(), KEISEI_INCLUDE, progress()},
         .environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1"},
         .fds = {{nothing.get(), 0}, {nothing.get(), 1}, {2, 2}}});
    EXPECT_TRUE(training) << training.error().message;
    training_.emplace(std::move(*training));
    EXPECT_TRUE(wait_until([this] { return reading().ticks > 50; }, 20s));
  }

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
  [[nodiscard]] json record() const {
    return json::parse(read_file(directory_.path() / "record").value_or(""), nullptr, false);
  }
  Program guard(const std::string& training, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"guard", "--training", training, "--report",
                                         (directory_.path() / "record").string()});
    return {"keisei", std::move(arguments), directory_.path()};
  }

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
}

TEST_F(GuardTraining, TheCommandEndsWithItsTraining) {
  Program guarded = guard(progress(), {"--impact", "100%", "--", "sleep", a_minute()});
  ASSERT_TRUE(wait_until([] { return !sleepers().empty(); }, 20s));
  training_->signal(SIGKILL);
  const auto status = guarded.wait(5s);
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
  EXPECT_TRUE(wait_until(stopped, 10s));
  training_->signal(SIGKILL);  // whoever has not learned a whole cycle waits a minute for silence
  const auto status = guarded.wait(10s);
  ASSERT_TRUE(status);
  EXPECT_EQ(record()["outcome"], "TrainerLost");
}

TEST_F(GuardTraining, AProcessIdAloneTellsThatTheTrainingLivesAndNothingElse) {
  Program guarded = guard(std::to_string(training_->pid()), {"--", "true"});
  const auto status = guarded.wait(10s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 0) << guarded.err();
  EXPECT_EQ(record()["training_impact"]["verdict"], "NotMeasured");
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

TEST_F(GuardTraining, AProgressFileThatIsCutShortBreaksNothing) {
  Program guarded =
      guard(progress(), {"--impact", "50%", "--timeout", "30s", "--", "sleep", "0.3"});
  ASSERT_TRUE(wait_until([this] { return is_open_in_a_guard(progress()); }, 10s));
  training_->signal(SIGSTOP);  // or it would die of its own mapping
  ASSERT_EQ(truncate(progress().c_str(), 0), 0);
  const auto status = guarded.wait(90s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 0) << guarded.err();
  EXPECT_EQ(record()["training_impact"]["verdict"], "Unproven") << record();
}

}  // namespace
}  // namespace keisei::tests
