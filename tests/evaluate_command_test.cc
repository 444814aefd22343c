// The real `keisei evaluate`, and what happens to it when weights or worker are bad.

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "net/snapshot.h"
#include "os/gpu.h"
#include "program.h"

namespace keisei::tests {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using namespace std::chrono_literals;

/// Runs `keisei evaluate` with few and short games against what each test breaks.
class Evaluate : public testing::Test {
 protected:
  Evaluate() : checkpoint_(directory_.path() / "net.safetensors") {
    const net::NetSpec spec{.blocks = 2, .channels = 32};
    const auto weights = net::initial_weights(spec, 7);
    const auto bytes = net::serialise_safetensors(net::weight_tensors(spec, weights),
                                                  net::snapshot_metadata(spec, 1234));
    EXPECT_TRUE(write_file_atomically(checkpoint_, bytes));
  }

  struct Ended {
    int code = -1;
    std::string out;
    std::string err;
  };

  Ended evaluate(std::vector<std::string> more) {
    std::vector<std::string> arguments{
        "evaluate", checkpoint_.string(),     "--games", "4", "--json",
        "--set",    "evaluation.max_plies=60"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    Program program("keisei", arguments, directory_.path());
    const auto status = program.wait(60s);
    EXPECT_TRUE(status.has_value()) << "still running\n" << program.err();
    return {status ? status->code.value_or(-1) : -1, program.out(), program.err()};
  }

  /// The same with `worker` of tests/adversaries in the place of keisei-worker.
  json evaluate_with_worker(const std::string& worker, std::vector<std::string> more = {}) {
    return evaluate_with_worker_named(worker, worker, std::move(more));
  }
  /// `name`: of the copy that runs, which some of them look at.
  json evaluate_with_worker_named(const std::string& name, const std::string& worker,
                                  std::vector<std::string> more = {}) {
    const fs::path copy = directory_.path() / name;  // a path of its own, to look for survivors
    fs::copy_file(fs::path(KEISEI_BIN) / "adversaries" / worker, copy);
    more.insert(more.end(), {"--set", "evaluation.worker=" + copy.string()});
    const Ended ended = evaluate(more);
    EXPECT_EQ(ended.code, 1) << ended.err;
    EXPECT_TRUE(processes_with(copy.string()).empty());
    return json::parse(ended.out, nullptr, false);
  }

  TestDirectory directory_;
  fs::path checkpoint_;
};

TEST_F(Evaluate, PlaysTheGamesAndReportsEachPromise) {
  const Ended ended = evaluate({"--opponent", "random", "--opponent", "heuristic"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  const json record = json::parse(ended.out);
  EXPECT_EQ(record["outcome"], "Finished");
  EXPECT_EQ(record["step"], 1234);
  EXPECT_EQ(record["entry"], "checkpoint");
  ASSERT_EQ(record["opponents"].size(), 2U);
  for (const auto& opponent : record["opponents"]) {
    EXPECT_EQ(opponent["games"], 4);
  }
  EXPECT_LT(record["score"]["low"], record["score"]["high"]);
  EXPECT_EQ(record["sla"]["evaluation_latency_ms"]["verdict"], "met");
  EXPECT_EQ(record["sla"]["memory_overhead_mb"]["verdict"], "met");
  EXPECT_EQ(record["sla"]["training_impact_percent"]["verdict"], "not_measured");
  EXPECT_GT(record["peak_memory_bytes"], 1'000'000);
}

TEST_F(Evaluate, AgainstACheckpointPlaysThatCheckpoint) {
  const Ended ended = evaluate({"--opponent", checkpoint_.string()});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(json::parse(ended.out)["opponents"][0]["name"], "net.safetensors");
}

TEST_F(Evaluate, TheSeedDecidesEveryGame) {
  const auto games = [this](const char* name) {
    const fs::path kept = directory_.path() / name;
    EXPECT_EQ(evaluate({"--keep", kept.string(), "--seed", "5"}).code, 0);
    std::string text;
    for (const auto& file : fs::directory_iterator(kept / "games")) {
      text += read_file(file.path()).value_or("");
    }
    return text;
  };
  const std::string first = games("first");
  EXPECT_NE(first.find("position startpos moves "), std::string::npos);
  EXPECT_EQ(first, games("second"));
}

TEST_F(Evaluate, LeavesNoTemporaryDirectory) {
  const auto count = [] {
    int found = 0;
    for (const auto& entry : fs::directory_iterator(fs::temp_directory_path())) {
      found += entry.path().filename().string().starts_with("keisei-evaluate-") ? 1 : 0;
    }
    return found;
  };
  const int before = count();
  EXPECT_EQ(evaluate({}).code, 0);
  EXPECT_EQ(count(), before);
}

TEST_F(Evaluate, NamesACheckpointThatCannotBeRead) {
  const std::string good = read_file(checkpoint_).value();
  struct Case {
    std::string content;
    const char* reason;
  };
  for (const Case& bad :
       {Case{good.substr(0, good.size() / 2), "truncated"},
        Case{"PK\x03\x04 this is a pickle", "safetensors"}, Case{"", "safetensors"}}) {
    ASSERT_TRUE(write_file_atomically(checkpoint_, bad.content));
    const Ended ended = evaluate({});
    EXPECT_EQ(ended.code, 1);
    EXPECT_NE(ended.err.find("net.safetensors"), std::string::npos) << ended.err;
    EXPECT_NE(ended.err.find(bad.reason), std::string::npos) << ended.err;
    EXPECT_EQ(std::ranges::count(ended.err, '\n'), 1) << ended.err;
  }
  fs::remove(checkpoint_);
  EXPECT_NE(evaluate({}).err.find("No such file"), std::string::npos);
}

TEST_F(Evaluate, ACheckpointOfNanNeverGetsAScore) {
  const net::NetSpec spec{.blocks = 2, .channels = 32};
  const std::vector<float> weights(static_cast<std::size_t>(net::parameter_count(spec)),
                                   std::numeric_limits<float>::quiet_NaN());
  ASSERT_TRUE(write_file_atomically(
      checkpoint_, net::serialise_safetensors(net::weight_tensors(spec, weights),
                                              net::snapshot_metadata(spec, 1234))));
  const Ended ended = evaluate({});
  EXPECT_EQ(ended.code, 1) << ended.err;
  const json record = json::parse(ended.out);
  EXPECT_EQ(record["outcome"], "Crashed");
  EXPECT_TRUE(record["score"].is_null());
  EXPECT_NE((ended.out + ended.err).find("not finite"), std::string::npos)
      << ended.out << ended.err;
}

TEST_F(Evaluate, RefusesAnOpponentThatDoesNotExist) {
  EXPECT_EQ(evaluate({"--opponent", "strongest"}).code, 2);
  const Ended missing = evaluate({"--opponent", "nowhere/x.safetensors"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_NE(missing.err.find("nowhere/x.safetensors"), std::string::npos);
}

TEST_F(Evaluate, ASpinningWorkerTimesOut) {
  const json record = evaluate_with_worker("spin", {"--set", "evaluation.limits.timeout_s=1"});
  EXPECT_EQ(record["outcome"], "TimedOut");
  EXPECT_TRUE(record["score"].is_null());
  if (!os::describe_gpu().present) {  // it ran long enough to be asked about
    EXPECT_TRUE(record["sla"]["gpu_utilization_percent"]["value"].is_null());
    EXPECT_EQ(record["sla"]["gpu_utilization_percent"]["verdict"], "not_measured");
  }
}

TEST_F(Evaluate, ALeakingWorkerIsOverMemory) {
  const json record = evaluate_with_worker("leak", {"--set", "evaluation.limits.memory_mb=100"});
  EXPECT_EQ(record["outcome"], "OverMemory");
  EXPECT_LT(record["peak_memory_bytes"], 164'000'000);
}

TEST_F(Evaluate, ACrashingWorkerCrashed) {
  const json record = evaluate_with_worker("crash");
  EXPECT_EQ(record["outcome"], "Crashed");
}

TEST_F(Evaluate, AWorkerThatAnswersGarbageGivesABadReport) {
  struct Case {
    const char* kind;
    const char* reason;
  };
  for (const Case& bad : {Case{"nan", "parse error"}, Case{"truncated", "breaks off"},
                          Case{"version", "its version is 2"}, Case{"huge", "larger than"},
                          Case{"none", "without a report"}}) {
    const json record = evaluate_with_worker_named(bad.kind, "evaluation_garbage");
    EXPECT_EQ(record["outcome"], "BadReport") << bad.kind;
    EXPECT_TRUE(record["score"].is_null()) << bad.kind;
    EXPECT_NE(record["cause"].get<std::string>().find(bad.reason), std::string::npos)
        << bad.kind << ": " << record["cause"];
  }
}

TEST_F(Evaluate, ALimitThatThisHostCannotKeepIsRefused) {
  EXPECT_EQ(evaluate({"--set", "evaluation.limits.memory_mb=0"}).code, 2);
  const Ended large = evaluate({"--set", "evaluation.limits.memory_mb=900000000"});
  EXPECT_EQ(large.code, 2);
  EXPECT_NE(large.err.find("evaluation.limits.memory_mb is 900000000 (command line)"),
            std::string::npos)
      << large.err;
  EXPECT_EQ(std::ranges::count(large.err, '\n'), 1) << large.err;
  const Ended unknown = evaluate({"--set", "evaluation.limits.memory=5"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("memory_mb"), std::string::npos) << unknown.err;
}

TEST_F(Evaluate, RefusesAWorkerThatIsNoProgram) {
  const fs::path plain = directory_.path() / "plain";
  ASSERT_TRUE(write_file_atomically(plain, "no program"));
  for (const auto& [path, reason] : {std::pair{directory_.path() / "missing", "No such file"},
                                     {directory_.path(), "no program"},
                                     {plain, "not executable"}}) {
    const Ended ended = evaluate({"--set", "evaluation.worker=" + path.string()});
    EXPECT_EQ(ended.code, 2) << path;
    EXPECT_NE(ended.err.find(path.string() + ": " + reason), std::string::npos) << ended.err;
    EXPECT_EQ(std::ranges::count(ended.err, '\n'), 1) << ended.err;
  }
}

TEST_F(Evaluate, RefusesWhatNoWorkerCanDo) {
  for (const char* value :
       {"evaluation.strategy=nonsense", "evaluation.device=cuda", "evaluation.max_plies=4",
        "evaluation.threads=65", "evaluation.limits.max_concurrent=5"}) {
    EXPECT_EQ(evaluate({"--set", value}).code, 2) << value;
  }
}

TEST_F(Evaluate, ADeviceThatNoWorkerHasIsRefusedByEveryCommandInTheSameWords) {
  const fs::path file = directory_.path() / "cuda.toml";
  ASSERT_TRUE(write_file_atomically(file, "[evaluation]\ndevice = \"cuda\"\n"));
  const std::vector<std::vector<std::string>> commands = {
      {"config", "--check", file.string()},
      {"train", "--config", file.string(), "--run", (directory_.path() / "run").string()},
      {"evaluate", checkpoint_.string(), "--config", file.string()}};
  for (const auto& command : commands) {
    Program program("keisei", command, directory_.path());
    const auto status = program.wait(60s);
    ASSERT_TRUE(status.has_value()) << program.err();
    EXPECT_EQ(status->code, 2) << command.front();
    EXPECT_NE(program.err().find(file.string() + ":2:1: evaluation.device = \"cuda\" is out of "
                                                 "range: only cpu\n"),
              std::string::npos)
        << command.front() << ": " << program.err();
  }
  EXPECT_FALSE(fs::exists(directory_.path() / "run"));
}

TEST_F(Evaluate, TheStrategyDecidesHowManyGamesEachOpponentGets) {
  for (const auto& [strategy, games] : {std::pair{"single", 4}, {"shared", 2}}) {
    const Ended ended =
        evaluate({"--opponent", "random", "--opponent", "heuristic", "--strategy", strategy});
    ASSERT_EQ(ended.code, 0) << ended.err;
    const json record = json::parse(ended.out);
    ASSERT_EQ(record["opponents"].size(), 2U) << record;
    for (const json& opponent : record["opponents"]) {
      EXPECT_EQ(opponent["games"], games) << strategy;
    }
  }
}

TEST_F(Evaluate, SaysWhenItsResultCannotBeWritten) {
  const fs::path full = "/dev/full";
  Program program(
      "keisei",
      {"evaluate", checkpoint_.string(), "--games", "2", "--set", "evaluation.max_plies=20"},
      directory_.path(), full);
  EXPECT_EQ(program.wait(60s)->code, 1);
  EXPECT_NE(program.err().find("written"), std::string::npos) << program.err();
}

TEST_F(Evaluate, EnforcementOffIsSaidInTheRecord) {
  const Ended ended = evaluate({"--set", "evaluation.enforcement.enabled=false"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  const auto enforced = [](const Ended& run) {
    const std::string tier = json::parse(run.out)["tier"];
    return tier.substr(0, tier.find("not enforced"));
  };
  EXPECT_EQ(enforced(ended).find("memory"), std::string::npos);
  EXPECT_NE(enforced(evaluate({})).find("memory"), std::string::npos);
}

}  // namespace
}  // namespace keisei::tests
