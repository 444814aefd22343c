#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "beside_trainer.h"
#include "guarded_run.h"
#include "stall_watch.h"

namespace keisei::testing_support {

/// A trainer beside the run, and after each test what must hold whatever happened in it: nothing of
/// the run is left, its slot is free, the trainer ticked on.
class Adversaries : public testing::Test {
 protected:
  static constexpr guard::EvaluationLimits kLimits = {.timeout = std::chrono::seconds(60),
                                                      .memory = megabytes(100)};

  void SetUp() override;
  void TearDown() override;

  /// Says which of the thirty adversaries this test is.
  static void covers(int number) { RecordProperty("row", number); }
  /// Down the production road, with the only slot there is; prints how it ended.
  guard::GuardedRun run(guard::GuardedCommand command, guard::EvaluationLimits limits = kLimits);
  guard::GuardedRun run(const std::string& adversary, std::vector<std::string> arguments = {}) {
    return run(runs_.adversary(adversary, std::move(arguments)));
  }
  /// «report WHAT», with its report at descriptor 3: JSON of 1 MB at most.
  [[nodiscard]] guard::GuardedCommand reporter(const std::string& what) const;
  static void read_report(guard::GuardedCommand& command);

  GuardedRuns runs_;
  std::optional<BesideTrainer> trainer_;
  std::optional<StallWatch> stalls_;  // beside it

 private:
  int descriptors_ = 0;
};

/// At the end of each repetition: which rows held, how long the trainer's heartbeat paused at most.
class AdversarySummary : public testing::EmptyTestEventListener {
 public:
  void OnTestIterationStart(const testing::UnitTest& tests, int iteration) override;
  void OnTestEnd(const testing::TestInfo& test) override;
  void OnTestIterationEnd(const testing::UnitTest& tests, int iteration) override;

 private:
  std::vector<int> held_;
  std::vector<int> broken_;
  int largest_gap_ms_ = 0;
};

}  // namespace keisei::testing_support
