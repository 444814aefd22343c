// `keisei verify` and what stands behind it, on this host: all is proven; and with a safeguard
// knocked out on purpose it is not.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/clock.h"
#include "base/file.h"
#include "guard/doctor_host.h"
#include "guard/training_trial.h"
#include "guard/verify_host.h"
#include "guard/verify_impact.h"
#include "os/child.h"
#include "os/procfs.h"
#include "os/program.h"

namespace keisei {
namespace {

using namespace std::chrono_literals;
using guard::Proof;
using testing::HasSubstr;

std::filesystem::path keisei_program() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "keisei";
}

guard::VerifyOptions quick() {
  guard::VerifyOptions options;
  options.thoroughness = guard::Thoroughness::Quick;
  options.supervisor = keisei_program();
  options.report_check = [](std::string_view) -> Result<void> { return fail("not a report"); };
  return options;
}

guard::VerifyReport run(const guard::VerifyOptions& options) {
  Result<guard::VerifyReport> report = guard::verify_host(options, [](const auto&) {});
  EXPECT_TRUE(report) << report.error().message;
  return report.value_or(guard::VerifyReport{});
}

/// A host that takes a processor away at the wrong moment may spoil one attempt, not three.
constexpr int kAttempts = 3;

bool is_of_speed(std::string_view promise) {
  return promise == "time" || promise == "memory" || promise == "cpu";
}

/// Whether all that was not proven are promises of time and size, and nothing was left.
bool was_only_late(const guard::VerifyReport& report) {
  bool late = false;
  for (const guard::VerifyRow& row : report.rows) {
    if (row.finding.proof != Proof::NotProven) {
      continue;
    }
    fmt::print("{}, {}: {}\n", row.promise, row.attack, row.finding.sentence);
    if (!is_of_speed(row.promise) || !row.evidence || row.evidence->survivors > 0 ||
        row.evidence->files_left > 0 || row.evidence->descriptors_left > 0) {
      return false;
    }
    late = true;
  }
  return late;
}

Proof proof_of(const guard::VerifyReport& report, std::string_view attack) {
  const auto row = std::ranges::find_if(report.rows, [attack](const guard::VerifyRow& candidate) {
    return candidate.attack.starts_with(attack);
  });
  EXPECT_NE(row, report.rows.end()) << attack;
  return row == report.rows.end() ? Proof::NotRun : row->finding.proof;
}

/// Without them not everything can be proven, and verify says so.
bool host_has_namespaces() {
  const Result<guard::HostFacts> facts = guard::examine_host();
  EXPECT_TRUE(facts) << facts.error().message;
  return facts && facts->worker &&
         facts->worker->find("pid_namespace")->second !=
             facts->outside.find("pid_namespace")->second;
}

TEST(VerifyHost, ProvesEveryPromiseThatCanBeAttacked) {
  if (!host_has_namespaces()) {
    GTEST_SKIP() << "no namespaces on this host";
  }
  guard::VerifyOptions options = quick();
  options.limits.cpu_percent = 30;
  guard::VerifyReport report = run(options);
  for (int again = 1; again < kAttempts && was_only_late(report); ++again) {
    report = run(options);
  }
  EXPECT_EQ(proof_of(report, "burn"), Proof::Proven);
  for (const guard::VerifyRow& row : report.rows) {
    const bool to_come = row.attack.empty() && row.promise != "enforcement";
    EXPECT_EQ(row.finding.proof, to_come ? Proof::NotMeasured : Proof::Proven)
        << row.promise << ", " << row.attack << ": " << row.finding.sentence;
  }
  EXPECT_EQ(report.verdict(), Proof::Proven);
}

TEST(VerifyHost, WithoutNamespacesTheDeathOfTheInitIsNotSurvivedAndVerifySaysSo) {
  guard::VerifyOptions options = quick();
  options.containment = guard::Containment::Bare;
  options.without = {.landlock = true, .seccomp = true};  // each would refuse the signal
  const guard::VerifyReport report = run(options);
  EXPECT_EQ(proof_of(report, "kill-init"), Proof::NotProven);
  EXPECT_EQ(report.verdict(), Proof::NotProven);
}

TEST(VerifyHost, WithoutMountsAndLandlockTheHostsFilesAreNotProvenUntouched) {
  guard::VerifyOptions options = quick();
  options.without = {.mount_namespace = true, .landlock = true};
  const guard::VerifyReport report = run(options);
  EXPECT_EQ(proof_of(report, "fill-scratch"), Proof::NotProven);
  EXPECT_EQ(proof_of(report, "write-outside"), Proof::NotProven);
}

guard::Finding attack_training_with(guard::Enforcement enforcement) {
  Result<guard::ProvingGround> ground = guard::ProvingGround::make({.enforcement = enforcement});
  EXPECT_TRUE(ground) << ground.error().message;
  const guard::Finding finding = guard::prove_impact(*ground, 0.05);
  EXPECT_EQ(ground->count_survivors(), 0);
  return finding;
}

TEST(VerifyHost, ProvesThatATrainingLosesLessThanMayBeLost) {
  guard::Finding finding = attack_training_with(guard::Enforcement::Enabled);
  for (int again = 1; again < kAttempts && finding.proof == Proof::NotProven; ++again) {
    fmt::print("{}\n", finding.sentence);
    finding = attack_training_with(guard::Enforcement::Enabled);
  }
  // A host that others keep busy proves nothing, and says so.
  EXPECT_THAT(finding.proof, testing::AnyOf(Proof::Proven, Proof::NotRun)) << finding.sentence;
  if (finding.proof == Proof::NotRun) {
    EXPECT_THAT(finding.sentence, testing::AnyOf(HasSubstr("kept this host busy"),
                                                 HasSubstr("changed its own speed")));
  }
}

constexpr int kNoted = 42;      // the trial says that it was interrupted
constexpr int kByDefault = 44;  // there was no trial any more: the signal ended the process
constexpr int kSwallowed = 43;  // it says that it was not, and nothing else happened
constexpr int kHangs = 53;

/// A trial in a process of its own, which nothing but an interrupt ends before its time.
class TrialInAProcess {
 public:
  explicit TrialInAProcess(const guard::TrialPlan& plan) : pid_(fork()) {
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      _exit(run(plan));
    }
  }
  ~TrialInAProcess() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  TrialInAProcess(const TrialInAProcess&) = delete;
  TrialInAProcess& operator=(const TrialInAProcess&) = delete;

  /// False: it never came to that.
  [[nodiscard]] bool wait_for_trees() const {
    return wait([this] { return !os::children_of(pid_).empty(); });
  }
  [[nodiscard]] bool wait_for_the_end_of_trees() const {
    return wait([this] { return os::children_of(pid_).empty(); });
  }
  /// «train» or «spin», the evaluation.
  [[nodiscard]] bool wait_for(const std::string& attack, std::chrono::seconds limit = 20s) const {
    return wait([&] { return !find(attack).empty(); }, limit);
  }
  void stop(const std::string& attack) const {
    for (const pid_t process : find(attack)) {
      kill(process, SIGSTOP);
    }
  }
  /// How it ended: kNoted, kByDefault, kSwallowed, kHangs; 0: something is left.
  int interrupt(int signal) {
    kill(pid_, signal);
    int status = 0;
    if (!wait([this, &status] { return waitpid(pid_, &status, WNOHANG) == pid_; })) {
      return kHangs;
    }
    pid_ = -1;
    return WIFSIGNALED(status) && WTERMSIG(status) == signal ? kByDefault : WEXITSTATUS(status);
  }

 private:
  static bool wait(const std::function<bool()>& done, std::chrono::seconds limit = 20s) {
    const MonotonicTime begin = MonotonicClock::now();
    while (!done()) {
      if (MonotonicClock::now() - begin > limit) {
        return false;
      }
    }
    return true;
  }
  /// By its name and the cookie, which ends with the number of the process that made it.
  [[nodiscard]] std::vector<pid_t> find(const std::string& attack) const {
    using namespace std::string_literals;
    std::vector<pid_t> found;
    std::error_code gone;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
      const std::string line = os::read_proc((entry.path() / "cmdline").string()).value_or("");
      const std::size_t begin = line.find("keisei-attack\0"s + attack + "\0"s);
      const bool itself = begin < line.find('\0');  // in its jail's arguments it comes later
      if (begin != std::string::npos && itself &&
          line.find("-" + std::to_string(pid_) + "\0"s) != std::string::npos) {
        found.push_back(std::stoi(entry.path().filename()));
      }
    }
    return found;
  }

  static int run(const guard::TrialPlan& plan) {
    {
      Result<guard::ProvingGround> ground = guard::ProvingGround::make({});
      if (!ground) {
        return 1;
      }
      const guard::TrialEvidence evidence = guard::try_training(*ground, plan);
      if (ground->count_survivors() != 0 || !os::children_of(getpid()).empty()) {
        return 0;
      }
      if (evidence.interrupted_by && evidence.interrupted_by == ground->interrupted_by() &&
          !evidence.trouble.empty()) {
        return kNoted;
      }
    }
    std::this_thread::sleep_for(5s);  // an interrupt that comes now ends it by default
    return kSwallowed;
  }

  pid_t pid_;
};

constexpr guard::TrialPlan kLongTrial = {
    .limit = 0.99, .always_slack = true, .warm_up = 50ms, .alone = 150ms, .beside = 20s};

/// While the training starts and runs, and while it is asked for evaluations.
TEST(TrainingTrial, IsEndedByAnInterruptAtAnyTimeFromItsFirstTreeOnAndLeavesNothing) {
  for (int i = 0; i < 30; ++i) {
    TrialInAProcess trial(kLongTrial);
    ASSERT_TRUE(trial.wait_for_trees());
    std::this_thread::sleep_for(i * 19ms);
    EXPECT_EQ(trial.interrupt(i % 2 == 0 ? SIGINT : SIGTERM), kNoted) << i;
  }
}

/// So long after `wait` has seen what it waits for.
void expect_noted(const guard::TrialPlan& plan, bool (*wait)(const TrialInAProcess&),
                  const std::vector<std::chrono::milliseconds>& delays) {
  for (const auto delay : delays) {
    TrialInAProcess trial(plan);
    ASSERT_TRUE(wait(trial));
    std::this_thread::sleep_for(delay);
    EXPECT_EQ(trial.interrupt(SIGINT), kNoted) << delay.count();
  }
}

TEST(TrainingTrial, IsEndedByAnInterruptWhileAnEvaluationRunsBesideIt) {
  expect_noted(kLongTrial, [](const TrialInAProcess& trial) { return trial.wait_for("spin"); },
               {0ms, 1ms, 5ms, 30ms, 150ms});
}

TEST(TrainingTrial, IsEndedByAnInterruptWhenItsEvaluationsAreOver) {
  constexpr guard::TrialPlan kLongAfter = {.limit = 0.99,
                                           .always_slack = true,
                                           .warm_up = 50ms,
                                           .alone = 150ms,
                                           .beside = 300ms,
                                           .after = 15s};
  expect_noted(kLongAfter, [](const TrialInAProcess& trial) { return trial.wait_for_trees(); },
               {400ms, 500ms, 550ms, 600ms, 1000ms});  // the evaluations' end at 500
}

/// Which takes long where the training stands still: twice or three times 200 ms, from 300 ms on.
/// The last of them begins what would be watched for 20 seconds.
TEST(TrainingTrial, IsEndedByAnInterruptWhileItLooksForAStepOfTheTraining) {
  constexpr guard::TrialPlan kLongBeside = {
      .limit = 0.99, .always_slack = true, .warm_up = 300ms, .alone = 10ms, .beside = 20s};
  const auto stopped = [](const TrialInAProcess& trial) {
    const bool found = trial.wait_for("train");
    trial.stop("train");
    return found;
  };
  expect_noted(kLongBeside, stopped, {400ms, 600ms, 800ms});
}

/// In steps over the 12 ms from the end of the last tree's root: some fall between the last look at
/// signals and the trial's return, which was 6 to 8 ms after that end.
TEST(TrainingTrial, SwallowsNoInterruptThatComesWhenItsTreesAreGone) {
  constexpr guard::TrialPlan kShort = {.limit = 0.99,
                                       .always_slack = true,
                                       .warm_up = 10ms,
                                       .alone = 10ms,
                                       .beside = 10ms,
                                       .after = 0ms};
  int interrupted = 0;
  for (int i = 0; i < 150; ++i) {
    TrialInAProcess trial(kShort);
    if (!trial.wait_for("train", 1s)) {
      continue;  // it was over before anybody looked, on a busy machine
    }
    ASSERT_TRUE(trial.wait_for_the_end_of_trees());
    ++interrupted;
    const MonotonicTime at = MonotonicClock::now() + i * 80us;
    while (MonotonicClock::now() < at) {  // a sleep would be longer
    }
    EXPECT_THAT(trial.interrupt(SIGINT), testing::AnyOf(kNoted, kByDefault)) << i;
  }
  EXPECT_GT(interrupted, 0);
}

TEST(VerifyHost, WithoutEnforcementATrainingIsNotProtected) {
  guard::Finding finding = attack_training_with(guard::Enforcement::Disabled);
  for (int again = 1; again < kAttempts && finding.proof == Proof::NotRun; ++again) {
    fmt::print("{}\n", finding.sentence);
    finding = attack_training_with(guard::Enforcement::Disabled);
  }
  EXPECT_EQ(finding.proof, Proof::NotProven) << finding.sentence;
}

TEST(VerifyHost, WithoutEnforcementNoLimitIsProven) {
  guard::VerifyOptions options = quick();
  options.limits.memory = megabytes(50);
  options.limits.timeout = 100ms;
  options.limits.cpu_percent = 30;
  options.enforcement = guard::Enforcement::Disabled;
  const guard::VerifyReport report = run(options);
  for (const char* attack :
       {"spin", "stop", "burn", "leak", "children-hold", "hoard-memfd", "fork-bomb"}) {
    EXPECT_EQ(proof_of(report, attack), Proof::NotProven) << attack;
  }
  EXPECT_EQ(report.rows.front().finding.proof, Proof::NotProven);
  EXPECT_EQ(report.verdict(), Proof::NotProven);
}

struct Answer {
  os::ExitStatus status;
  std::string out;
  std::string err;
};

Answer keisei(std::vector<std::string> arguments) {
  std::string pattern = (std::filesystem::temp_directory_path() / "keisei-test-XXXXXX").string();
  EXPECT_NE(mkdtemp(pattern.data()), nullptr);
  const std::filesystem::path directory = pattern;
  const auto file = [&](const char* name) {
    return UniqueFd(open((directory / name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  };
  arguments.insert(arguments.begin(), keisei_program().string());
  const UniqueFd out = file("out");
  const UniqueFd err = file("err");
  Result<os::Child> child = os::Child::spawn({.argv = arguments,
                                              .environment = os::current_environment(),
                                              .fds = {{out.get(), 1}, {err.get(), 2}}});
  EXPECT_TRUE(child) << child.error().message;
  Answer answer{.status = child->wait(), .out = {}, .err = {}};
  answer.out = read_file(directory / "out").value_or("");
  answer.err = read_file(directory / "err").value_or("");
  std::filesystem::remove_all(directory);
  return answer;
}

TEST(VerifyCommand, PrintsOneDocumentAndExitsWithZeroWhereAllIsProven) {
  if (!host_has_namespaces()) {
    GTEST_SKIP() << "no namespaces on this host";
  }
  Answer answer = keisei({"verify", "--quick", "--json"});
  auto json = nlohmann::json::parse(answer.out, nullptr, false);
  const auto is_late = [](const auto& row) {
    return row["verdict"] != "not proven" ||
           is_of_speed(row["promise"].template get<std::string>());
  };
  for (int again = 1; again < kAttempts && answer.status.code == 3; ++again) {
    fmt::print("{}\n", answer.out);
    ASSERT_TRUE(std::ranges::all_of(json["rows"], is_late));
    answer = keisei({"verify", "--quick", "--json"});
    json = nlohmann::json::parse(answer.out, nullptr, false);
  }
  EXPECT_EQ(answer.status.code, 0) << answer.out << answer.err;
  ASSERT_TRUE(json.is_object()) << answer.out;
  EXPECT_EQ(json["verdict"], "proven");
  EXPECT_EQ(json["not_proven"], 0);
  EXPECT_TRUE(json["attacked"]["cpu_percent"].is_null());
  EXPECT_TRUE(std::ranges::any_of(json["rows"], [](const auto& row) {
    return row["promise"] == "cpu" && row["verdict"] == "not measured";
  }));
  EXPECT_GE(json["not_measured"], 1);
  for (const auto& row : json["rows"]) {
    if (row["attack"] != "") {
      EXPECT_EQ(row["evidence"]["survivors"], 0) << row;
    }
  }
}

TEST(VerifyCommand, ExitsWithThreeAndSaysItLoudlyWhereEnforcementIsSwitchedOff) {
  const Answer answer =
      keisei({"verify", "--quick", "--set", "evaluation.enforcement.enabled=false", "--set",
              "evaluation.limits.memory_mb=50", "--set", "evaluation.limits.timeout_s=0.1"});
  EXPECT_EQ(answer.status.code, 3) << answer.out << answer.err;
  EXPECT_THAT(answer.err, HasSubstr("ENFORCEMENT IS SWITCHED OFF"));
  EXPECT_THAT(answer.out, HasSubstr("NO LIMIT HOLDS"));
}

TEST(VerifyCommand, RefusesALimitThatCannotBeMeant) {
  EXPECT_EQ(keisei({"verify", "--set", "evaluation.limits.memory_mb=0"}).status.code, 2);
}

TEST(DoctorCommand, SaysOfEachMechanismWhatItIsAndSeesWhatTheJailDoes) {
  const Answer answer = keisei({"doctor", "--json"});
  EXPECT_EQ(answer.status.code, 0) << answer.out << answer.err;
  const auto json = nlohmann::json::parse(answer.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << answer.out;
  std::map<std::string, std::string> standings;
  for (const auto& row : json["mechanisms"]) {
    standings[row["mechanism"]] = row["standing"];
    EXPECT_FALSE(row["why"].get<std::string>().empty()) << row;
  }
  EXPECT_EQ(standings["seccomp"], "ENFORCED");
  EXPECT_EQ(standings["memory, one process"], "ENFORCED");
  EXPECT_EQ(standings["SCHED_IDLE"], "ENFORCED");
  if (host_has_namespaces()) {
    EXPECT_EQ(standings["mount namespace"], "ENFORCED");
    EXPECT_EQ(standings["network namespace"], "ENFORCED");
    EXPECT_EQ(standings["files outside"], "ENFORCED");
    EXPECT_EQ(standings["scratch"], "ENFORCED");
  }
  EXPECT_EQ(standings["training impact"], "MEASURED ONLY");
}

TEST(DoctorCommand, PrintsNoColoursWhereNobodyLooks) {
  const Answer answer = keisei({"doctor"});
  EXPECT_EQ(answer.status.code, 0);
  EXPECT_THAT(answer.out, HasSubstr("ENFORCED"));
  EXPECT_EQ(answer.out.find('\033'), std::string::npos);
}

}  // namespace
}  // namespace keisei
