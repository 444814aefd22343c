// The real `keisei train`: evaluations beside it, evil workers, and either process killed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/clock.h"
#include "base/file.h"
#include "os/procfs.h"
#include "program.h"
#include "store/run_store.h"

namespace keisei::tests {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::chrono::seconds kLimit{240};

class Train : public testing::Test {
 protected:
  Train() : run_(directory_.path() / "run"), worker_(directory_.path() / "keisei-worker") {
    fs::copy_file(fs::path(KEISEI_BIN) / "keisei-worker", worker_);
  }
  ~Train() override {
    for (const int pid : processes_with(directory_.path().string())) {
      ::kill(pid, SIGKILL);  // of a test that failed
    }
  }

  /// A run of 2,048 plies in updates of 256, evaluated every 512 with short games.
  Program train(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"train", "--run", run_.string()};
    for (const std::string& value :
         {std::string("training.total_steps=2048"), std::string("training.environments=16"),
          std::string("training.rollout_steps=16"), std::string("training.minibatch=128"),
          std::string("training.micro_batch=64"), std::string("training.max_plies=60"),
          std::string("checkpoints.interval_steps=512"),
          std::string("evaluation.interval_steps=512"), std::string("evaluation.games=2"),
          std::string("evaluation.max_plies=40"), "evaluation.worker=" + worker_.string()}) {
      arguments.insert(arguments.end(), {"--set", value});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Program("keisei", arguments, directory_.path());
  }
  Program resume(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"train", "--run", run_.string(), "--resume"});
    return Program("keisei", more, directory_.path());
  }

  [[nodiscard]] store::RunStore store() const {
    auto opened = store::RunStore::open_read_only(run_ / "run.db");
    EXPECT_TRUE(opened) << opened.error().message;
    return std::move(*opened);
  }
  [[nodiscard]] std::vector<telemetry::EvaluationRecord> evaluations() const {
    return store().evaluations().value();
  }
  [[nodiscard]] std::vector<telemetry::CheckpointRecord> checkpoints() const {
    return store().checkpoints().value();
  }
  [[nodiscard]] std::vector<telemetry::UpdateRecord> updates_since(std::int64_t step) const {
    return store().updates_since(step).value();
  }
  [[nodiscard]] std::int64_t last_step() const { return updates_since(-1).back().step; }
  /// No process of this run is left.
  void expect_nothing_left() const {
    EXPECT_TRUE(
        wait_until([this] { return processes_with(directory_.path().string()).empty(); }, 60s));
  }
  static void expect_success(Program& program) {
    const auto status = program.wait(kLimit);
    ASSERT_TRUE(status.has_value()) << "still running\n" << program.err();
    EXPECT_TRUE(status->success()) << os::to_string(*status) << "\n" << program.err();
  }
  /// The learner's process, by the run directory in its command line.
  [[nodiscard]] int learner() const {
    for (const int pid : processes_with(run_.string())) {
      const std::string line = read_file(fmt::format("/proc/{}/cmdline", pid)).value_or("");
      if (line.find("keisei-train") != std::string::npos) {
        return pid;
      }
    }
    return -1;
  }

  TestDirectory directory_;
  fs::path run_;
  fs::path worker_;
};

TEST_F(Train, InterruptedBeforeTheTrainingBeginsTrainsNothingAndCanGoOn) {
  Program program = train();
  // The test of the host has begun: 2.5 s before the learner.
  ASSERT_TRUE(wait_until([&] { return !os::children_of(program.pid()).empty(); }, 60s));
  program.signal(SIGINT);
  const auto status = program.wait(kLimit);
  ASSERT_TRUE(status.has_value());
  EXPECT_FALSE(status->success());
  EXPECT_NE(program.err().find("--resume"), std::string::npos) << program.err();
  EXPECT_FALSE(fs::exists(run_ / "learner.log"));
  expect_nothing_left();
  Program again = resume();
  expect_success(again);
  EXPECT_EQ(last_step(), 2048);
}

/// Before it has made its first step, or listens at all.
TEST_F(Train, InterruptedAsSoonAsItsLearnerIsThereItIsNotLost) {
  for (const auto delay : {0ms, 3ms, 30ms, 150ms}) {
    SCOPED_TRACE(delay.count());
    fs::remove_all(run_);
    Program program = train();
    const MonotonicTime end = MonotonicClock::now() + 60s;
    while (!fs::exists(run_ / "learner.log") && MonotonicClock::now() < end) {
    }
    std::this_thread::sleep_for(delay);
    program.signal(SIGINT);
    expect_success(program);
    EXPECT_EQ(program.err().find("lost"), std::string::npos) << program.err();
    expect_nothing_left();
  }
  Program again = resume();
  expect_success(again);
  EXPECT_EQ(last_step(), 2048);
}

TEST_F(Train, EvaluatesAtEveryDueStepThroughTheSafeguards) {
  Program program = train();
  expect_success(program);
  std::vector<std::int64_t> evaluated;
  for (const auto& record : evaluations()) {
    evaluated.push_back(record.step);
    EXPECT_EQ(record.outcome, "Finished") << record.cause;
    EXPECT_EQ(record.opponents.at(0).games, 2);
    EXPECT_EQ(record.tier.find("not enforced: memory"), std::string::npos) << record.tier;
    EXPECT_TRUE(fs::exists(run_ / record.report_path));
  }
  const std::vector<std::int64_t> due{512, 1024, 1536, 2048};
  EXPECT_EQ(evaluated, due);
  EXPECT_NE(read_file(run_ / "log.jsonl").value().find("\"isolation\""), std::string::npos);
  std::vector<std::int64_t> saved;
  for (const auto& checkpoint : checkpoints()) {
    EXPECT_TRUE(checkpoint.error.empty()) << checkpoint.error;
    saved.push_back(checkpoint.step);
  }
  EXPECT_EQ(saved, due);
  EXPECT_EQ(last_step(), 2048);
  EXPECT_NE(program.out().find("2,048"), std::string::npos) << program.out();
  EXPECT_FALSE(fs::exists(run_ / "learner.sock"));
  expect_nothing_left();
}

TEST_F(Train, ItsCertificateIsMadeAgainFromTheFramesAndItsHoldOutsFromTheSeed) {
  Program program = train();
  expect_success(program);
  const auto report = [this] {
    Program again("keisei", {"report", run_.string(), "--impact"}, directory_.path());
    const auto status = again.wait(kLimit);
    EXPECT_TRUE(status.has_value());
    return std::pair(status->code, again.out() + again.err());
  };
  const auto [code, text] = report();
  EXPECT_EQ(code, 0) << text;
  EXPECT_THAT(text, HasSubstr("agrees with the frames to the last digit, and its seed with"));
  EXPECT_THAT(text, HasSubstr("tier              enforced: "));
  const fs::path file = run_ / "impact.json";
  const auto json = nlohmann::ordered_json::parse(read_file(file).value());
  const auto report_with = [&](const std::string& key, const nlohmann::ordered_json& value) {
    auto changed = json;
    changed[key] = value;
    std::ofstream(file) << changed.dump(2) << "\n";
    return report();
  };
  const auto [lower, says] = report_with("lost_s_upper", -1.0);
  EXPECT_EQ(lower, 3);
  EXPECT_THAT(says, HasSubstr("does NOT agree"));
  const auto [earlier, names] = report_with("supervision", 1);
  EXPECT_EQ(earlier, 3);
  EXPECT_THAT(names, HasSubstr("impact.json is of supervision 1, and the last frames"));
  const auto [seedless, complains] = report_with("seed", nullptr);
  EXPECT_EQ(seedless, 3);
  EXPECT_THAT(complains, HasSubstr("it has no seed"));
}

/// What the training may lose is spent by its supervisor, however the guard comes to the learner.
TEST_F(Train, AGuardWithABudgetOfItsOwnIsRejectedBesideALearnerThatIsEvaluated) {
  Program program = train({"--set", "training.total_steps=1000000"});
  ASSERT_TRUE(wait_until(
      [this] { return fs::exists(run_ / "run.db") && learner() > 0 && !updates_since(-1).empty(); },
      kLimit));
  const std::string pid = std::to_string(learner());
  for (const std::string& training : {pid, "/proc/" + pid + "/fd/4"}) {  // 4: its step clock
    Program guarded("keisei", {"guard", "--training", training, "--impact", "5%", "--", "true"},
                    directory_.path());
    const auto status = guarded.wait(20s);
    ASSERT_TRUE(status) << training;
    EXPECT_EQ(status->code, 125);
    EXPECT_NE(guarded.err().find("Rejected: `keisei train` (process " +
                                 std::to_string(program.pid()) + ")"),
              std::string::npos)
        << guarded.err();
  }
  program.signal(SIGINT);
  expect_success(program);
  expect_nothing_left();
}

TEST_F(Train, FinishesBesideWorkersThatSpinLeakOrCrash) {
  struct Row {
    const char* worker;
    const char* outcome;
    const char* timeout_s;
  };
  for (const auto& [worker, outcome, timeout] :
       {Row{"spin", "TimedOut", "1"}, Row{"leak", "OverMemory", "60"},
        Row{"crash", "Crashed", "60"}}) {
    worker_ = directory_.path() / worker;
    run_ = directory_.path() / (std::string("run-") + worker);
    fs::copy_file(fs::path(KEISEI_BIN) / "adversaries" / worker, worker_);
    Program program = train({"--set", std::string("evaluation.limits.timeout_s=") + timeout,
                             "--set", "evaluation.limits.memory_mb=150"});
    expect_success(program);
    const auto records = evaluations();
    EXPECT_EQ(records.size(), 4U) << worker;
    for (const auto& record : records) {
      EXPECT_EQ(record.outcome, outcome) << record.cause;
      EXPECT_FALSE(record.score.has_value());
    }
    EXPECT_EQ(last_step(), 2048);
    expect_nothing_left();
  }
}

TEST_F(Train, InterruptedSavesAndResumesWhereItWas) {
  {
    Program program = train({"--set", "training.total_steps=1000000"});
    ASSERT_TRUE(program.wait_for_err("evaluation 512", kLimit)) << program.err();
    program.signal(SIGINT);
    expect_success(program);
    expect_nothing_left();
  }
  ASSERT_FALSE(checkpoints().empty());
  const std::int64_t stopped_at = checkpoints().back().step;
  EXPECT_EQ(last_step(), stopped_at);
  const std::int64_t goal = stopped_at + 512;
  Program again = resume({"--set", fmt::format("training.total_steps={}", goal)});
  expect_success(again);
  const auto updates = updates_since(stopped_at);
  ASSERT_EQ(updates.size(), 2U);  // of 256 plies each: nothing was repeated, nothing left out
  EXPECT_EQ(updates.back().step, goal);
}

TEST_F(Train, GoesOnWithoutItsSupervisorAndIsFoundAgain) {
  int learner_pid = -1;
  {
    Program program =
        train({"--set", "training.total_steps=200000", "--set", "evaluation.games=200"});
    ASSERT_TRUE(program.wait_for_err("checkpoint", kLimit)) << program.err();
    learner_pid = learner();
    ASSERT_GT(learner_pid, 0);
    ASSERT_TRUE(wait_until([this] { return !processes_with(worker_.string()).empty(); }, kLimit))
        << program.err();
    program.signal(SIGKILL);
    ASSERT_TRUE(program.wait(kLimit).has_value());
  }
  EXPECT_TRUE(wait_until([this] { return processes_with(worker_.string()).empty(); }, 60s))
      << "workers outlived their supervisor";
  const auto said = [this] { return read_file(run_ / "learner.log").value_or(""); };
  EXPECT_TRUE(wait_until([&said] { return said().find("supervisor") != std::string::npos; }, 20s));
  EXPECT_EQ(learner(), learner_pid);

  Program changed = resume({"--set", "training.seed=77"});
  EXPECT_EQ(changed.wait(kLimit)->code, 2);
  EXPECT_NE(changed.err().find("alive"), std::string::npos) << changed.err();

  Program again = resume({"--set", "evaluation.games=2"});
  ASSERT_TRUE(wait_until(
      [this] {
        const auto records = evaluations();
        return std::ranges::find(records, "Finished", &telemetry::EvaluationRecord::outcome) !=
               records.end();
      },
      kLimit))
      << again.err();
  EXPECT_EQ(learner(), learner_pid);
  again.signal(SIGINT);
  expect_success(again);
  const auto records = evaluations();
  const auto lost =
      std::ranges::find(records, "SupervisorLost", &telemetry::EvaluationRecord::outcome);
  ASSERT_NE(lost, records.end());
  EXPECT_NE(lost->cause.find("was killed"), std::string::npos) << lost->cause;
  const auto updates = updates_since(-1);
  for (std::size_t i = 0; i < updates.size(); ++i) {  // kept by the learner while nobody listened
    EXPECT_EQ(updates[i].update, static_cast<std::int64_t>(i) + 1);
  }
  expect_nothing_left();
}

TEST_F(Train, StoppedAsSoonAsItIsAttachedIsToldOfTheLastCheckpoint) {
  {
    Program program = train({"--set", "training.total_steps=200000"});
    ASSERT_TRUE(program.wait_for_err("checkpoint", kLimit)) << program.err();
    program.signal(SIGKILL);
    ASSERT_TRUE(program.wait(kLimit).has_value());
  }
  Program again = resume({});
  ASSERT_TRUE(again.wait_for_err("attached to it", kLimit)) << again.err();
  again.signal(SIGINT);
  expect_success(again);
  EXPECT_EQ(checkpoints().back().step, last_step());
  expect_nothing_left();
}

TEST_F(Train, ReportsALostLearnerAndResumesFromItsCheckpoint) {
  {
    Program program = train({"--set", "training.total_steps=200000"});
    ASSERT_TRUE(program.wait_for_err("checkpoint", kLimit)) << program.err();
    ::kill(learner(), SIGKILL);
    const auto status = program.wait(kLimit);
    ASSERT_TRUE(status.has_value());
    EXPECT_EQ(status->code, 1);
    EXPECT_NE(program.err().find("--resume"), std::string::npos) << program.err();
    expect_nothing_left();
  }
  const std::int64_t saved = checkpoints().back().step;
  Program again = resume({"--set", fmt::format("training.total_steps={}", saved + 512)});
  expect_success(again);
  EXPECT_EQ(last_step(), saved + 512);
  expect_nothing_left();
}

TEST_F(Train, EndsEvaluationsOfALearnerThatHangsAndGoesOnWithIt) {
  worker_ = directory_.path() / "spin";
  fs::copy_file(fs::path(KEISEI_BIN) / "adversaries" / "spin", worker_);
  Program program =
      train({"--set", "training.total_steps=12288", "--set", "evaluation.interval_steps=4096",
             "--set", "evaluation.limits.timeout_s=100"});
  const auto evaluated = [this] {
    return fs::exists(run_ / "evaluations") && !fs::is_empty(run_ / "evaluations");
  };
  ASSERT_TRUE(wait_until(evaluated, kLimit)) << program.err();
  const int hung = learner();
  ASSERT_GT(hung, 0);
  ::kill(hung, SIGSTOP);
  EXPECT_TRUE(program.wait_for_err("made no progress", kLimit)) << program.err();
  EXPECT_TRUE(wait_until([this] { return !evaluations().empty(); }, 60s));
  fs::rename(worker_, directory_.path() / "put-away");
  fs::copy_file(fs::path(KEISEI_BIN) / "keisei-worker", worker_);
  ::kill(hung, SIGCONT);
  expect_success(program);
  EXPECT_NE(program.err().find("makes progress again"), std::string::npos) << program.err();
  const auto records = evaluations();
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(records[0].outcome, "TrainerLost") << records[0].cause;
  for (std::size_t i = 1; i < records.size(); ++i) {
    EXPECT_EQ(records[i].outcome, "Finished") << records[i].cause;
  }
  EXPECT_EQ(last_step(), 12288);
  expect_nothing_left();
}

TEST_F(Train, EnforcementThatIsOffIsSaidEverywhereAtEveryEvaluation) {
  Program program = train(
      {"--set", "training.total_steps=1024", "--set", "evaluation.enforcement.enabled=false"});
  expect_success(program);
  const auto records = evaluations();
  ASSERT_EQ(records.size(), 2U);
  const std::string log = read_file(run_ / "log.jsonl").value_or("");
  for (const auto& record : records) {
    EXPECT_FALSE(record.enforcement);
    EXPECT_NE(record.tier.find("not enforced: timeout"), std::string::npos) << record.tier;
    const auto report = nlohmann::json::parse(read_file(run_ / record.report_path).value_or(""));
    EXPECT_EQ(report["enforcement"], false);
    EXPECT_NE(log.find(fmt::format("step {} is evaluated WITHOUT limits", record.step)),
              std::string::npos)
        << log;
  }
  EXPECT_NE(program.err().find("ENFORCEMENT OFF"), std::string::npos) << program.err();
  EXPECT_NE(program.out().find("ENFORCEMENT OFF"), std::string::npos) << program.out();
  Program evaluate("keisei",
                   {"evaluate", checkpoints().back().path, "--games", "2", "--json", "--set",
                    "evaluation.enforcement.enabled=false"},
                   directory_.path());
  ASSERT_EQ(evaluate.wait(kLimit)->code, 0) << evaluate.err();
  EXPECT_NE(evaluate.err().find("WITHOUT limits"), std::string::npos) << evaluate.err();
  EXPECT_NE(evaluate.out().find("\"enforcement\":false"), std::string::npos) << evaluate.out();
}

TEST_F(Train, RefusesASecondSupervisorAndAnOldRunDirectory) {
  Program first = train({"--set", "training.total_steps=200000"});
  ASSERT_TRUE(first.wait_for_err("checkpoint", kLimit)) << first.err();
  Program second = resume();
  EXPECT_EQ(second.wait(kLimit)->code, 1);
  EXPECT_NE(second.err().find("supervises"), std::string::npos) << second.err();
  Program over = train();
  EXPECT_EQ(over.wait(kLimit)->code, 2);
  EXPECT_NE(over.err().find("--resume"), std::string::npos) << over.err();
  first.signal(SIGINT);
  expect_success(first);
}

TEST_F(Train, RefusesToResumeIntoAnotherArchitectureNamingBoth) {
  {
    Program program = train();
    expect_success(program);
  }
  Program again = resume({"--set", "training.net=b4c64", "--set", "training.total_steps=9999"});
  EXPECT_EQ(again.wait(kLimit)->code, 2);
  EXPECT_NE(again.err().find("b2c32"), std::string::npos) << again.err();
  EXPECT_NE(again.err().find("b4c64"), std::string::npos) << again.err();
  expect_nothing_left();
  Program as_before = resume({"--set", "training.total_steps=2560"});  // and nothing was broken
  expect_success(as_before);
  EXPECT_EQ(last_step(), 2560);
}

TEST_F(Train, ABadConfigurationMakesNoRunDirectory) {
  Program program = train({"--set", "training.learning_rat=1"});
  EXPECT_EQ(program.wait(kLimit)->code, 2);
  EXPECT_NE(program.err().find("training.learning_rate"), std::string::npos) << program.err();
  EXPECT_FALSE(fs::exists(run_));
}

}  // namespace
}  // namespace keisei::tests
