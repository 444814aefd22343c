// What the guard sees of real processes, and what it tells them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <filesystem>

#include "guarded_run.h"
#include "os/mapped_files.h"

namespace keisei {
namespace {

using namespace std::chrono_literals;
using guard::EvaluationLimits;
using guard::GuardedCommand;
using guard::GuardRecord;
using guard::Outcome;
using testing::HasSubstr;
using testing::IsEmpty;

class WatchedRuns : public testing::Test {
 protected:
  GuardRecord run(const GuardedCommand& command, const EvaluationLimits& limits) {
    const GuardRecord record = runs_.run(command, limits).record;
    EXPECT_THAT(runs_.survivors(), IsEmpty());
    fmt::print("{}: {}\n", guard::to_string(record.outcome), record.cause);
    return record;
  }
  /// heed_warning, whose report says that it is partial.
  GuardedCommand early_ender(std::vector<std::string> arguments) {
    GuardedCommand command = runs_.adversary("heed_warning", std::move(arguments));
    command.report_fd = 3;
    command.report_check = [this](std::string_view report) -> Result<guard::ReportKind> {
      report_ = report;
      return guard::ReportKind::Partial;
    };
    return command;
  }

  testing_support::GuardedRuns runs_;
  std::string report_;
};

TEST_F(WatchedRuns, AWorkerNearItsMemoryLimitIsWarnedAndMayEndPartial) {
  const GuardRecord record = run(early_ender({"88"}), {.timeout = 60s, .memory = megabytes(100)});
  EXPECT_EQ(record.outcome, Outcome::Partial);
  EXPECT_THAT(record.cause, HasSubstr("memory neared its limit of 100 MB"));
  EXPECT_EQ(report_, "early m");
  EXPECT_TRUE(record.memory_warning_ms);
  EXPECT_FALSE(record.timeout_warning_ms);
  EXPECT_EQ(record.sla.evaluation_latency_ms.verdict, guard::Verdict::Met);
}

TEST_F(WatchedRuns, AWorkerWhoseTimeRunsOutIsWarnedAndMayEndPartial) {
  const GuardRecord record = run(early_ender({"1"}), {.timeout = 10s, .memory = megabytes(100)});
  EXPECT_EQ(record.outcome, Outcome::Partial);
  EXPECT_EQ(report_, "early t");
  ASSERT_TRUE(record.timeout_warning_ms);
  EXPECT_GE(*record.timeout_warning_ms, 8000);
  EXPECT_FALSE(record.memory_warning_ms);
}

TEST_F(WatchedRuns, AReportThatIsPartialWithoutAWarningIsBad) {
  const GuardRecord record = run(early_ender({"1", "lie"}), {.timeout = 60s});
  EXPECT_EQ(record.outcome, Outcome::BadReport);
  EXPECT_THAT(record.cause, HasSubstr("nothing had warned it"));
}

TEST_F(WatchedRuns, AWarningThatNobodyHeedsChangesNothing) {
  const GuardRecord record = run(runs_.adversary("spin"), {.timeout = 300ms});
  EXPECT_EQ(record.outcome, Outcome::TimedOut);
  ASSERT_TRUE(record.timeout_warning_ms);
  EXPECT_GE(record.latency_ms, 300);
}

TEST_F(WatchedRuns, AWorkerThatHidesItsDescriptorTableIsOverMemory) {
  // Who may run a program but not read it must not look into its process either; tests/as_nobody
  // makes one of root's. From root nothing is hidden.
  if (geteuid() == 0 || !std::filesystem::exists(testing_support::adversary_path("unreadable"))) {
    GTEST_SKIP() << "there is no program that this account may run but not read";
  }
  const GuardedCommand command = runs_.adversary("unreadable");
  const GuardRecord record = run(command, {.timeout = 20s, .memory = megabytes(100)});
  EXPECT_EQ(record.outcome, Outcome::OverMemory);
  EXPECT_THAT(record.cause, HasSubstr("hides its descriptor table"));
}

TEST_F(WatchedRuns, ACommandThatHidesItsDescriptorTableIsSaidToBeWatchedInPart) {
  if (geteuid() == 0 || !std::filesystem::exists(testing_support::adversary_path("unreadable"))) {
    GTEST_SKIP() << "there is no program that this account may run but not read";
  }
  GuardedCommand command = runs_.adversary("unreadable");
  command.profile = guard::Profile::Command;
  const GuardRecord record = run(command, {.timeout = 1s, .memory = megabytes(100)});
  EXPECT_EQ(record.outcome, Outcome::TimedOut) << record.cause;
  EXPECT_THAT(record.tier.not_enforced, testing::Contains(HasSubstr("hid its descriptor tables")));
}

/// Each below its own limit, and nobody may read what they share.
TEST_F(WatchedRuns, ACommandsProcessesThatHideWhatTheyShareCountInFull) {
  if (geteuid() == 0 ||
      !std::filesystem::exists(testing_support::adversary_path("unreadable_children"))) {
    GTEST_SKIP() << "there is no program that this account may run but not read";
  }
  GuardedCommand command = runs_.adversary("unreadable_children", {"3", "80"});
  command.profile = guard::Profile::Command;
  const GuardRecord record = run(command, {.timeout = 5s, .memory = megabytes(100)});
  EXPECT_EQ(record.outcome, Outcome::OverMemory) << record.cause;
  EXPECT_THAT(record.tier.not_enforced, testing::Contains(HasSubstr("hid what it shares")));
}

TEST_F(WatchedRuns, ACommandsSharedMemoryThatNoPageTableShowsCountsWhereItCanBeMeasured) {
  const auto in_no_page_table = testing::Contains(HasSubstr("in no page table"));
  for (const char* way : {"drop", "copy", "write", "tail"}) {
    SCOPED_TRACE(way);
    GuardedCommand command = runs_.adversary("hide_shared", {way, "600"});
    command.profile = guard::Profile::Command;
    const GuardRecord record = run(command, {.timeout = 2s, .memory = megabytes(100)});
    const bool kernel_holds =
        testing::Value(record.tier.enforced, testing::Contains(HasSubstr("memory.max")));
    if (os::can_measure_mapped_files() || kernel_holds) {
      EXPECT_EQ(record.outcome, Outcome::OverMemory);
      EXPECT_LE(record.peak_memory, megabytes(164));
      EXPECT_THAT(record.tier.not_enforced, testing::Not(in_no_page_table));
    } else {  // such a file may be mapped at any size and hardly hold a page
      EXPECT_EQ(record.outcome, Outcome::TimedOut);
      EXPECT_THAT(record.tier.not_enforced, in_no_page_table);
    }
  }
}

TEST_F(WatchedRuns, AWorkerThatMapsMoreThanCanBeCountedIsOverMemory) {
  const GuardRecord record =
      run(runs_.adversary("hide_shared", {"pages", "100"}), {.timeout = 10s});
  if (testing::Value(record.tier.enforced, testing::Contains(HasSubstr("memory.max")))) {
    GTEST_SKIP() << "the kernel holds its memory: nobody counts what it maps";
  }
  EXPECT_EQ(record.outcome, Outcome::OverMemory);
  EXPECT_THAT(record.cause, HasSubstr("more than is looked through"));
  EXPECT_LE(record.peak_memory, megabytes(200));
}

TEST_F(WatchedRuns, WhatAChildWroteToDiskCountsAlsoAfterItsEnd) {
  struct statfs disk = {};
  ASSERT_EQ(statfs(runs_.directory().c_str(), &disk), 0);
  if (disk.f_type == TMPFS_MAGIC || disk.f_type == RAMFS_MAGIC) {
    GTEST_SKIP() << "the temporary directory is in memory";
  }
  // What ended processes wrote is told to root by the tree's init, and to others by a parent only,
  // as long as it lives.
  const std::string seconds_parent_stays = geteuid() == 0 ? "0" : "2";
  GuardedCommand command =
      runs_.adversary("write_disk", {runs_.directory().string(), "20", seconds_parent_stays});
  command.profile = guard::Profile::Command;
  const GuardRecord record = run(command, {.timeout = 60s});
  ASSERT_EQ(record.outcome, Outcome::Finished);
  ASSERT_EQ(record.exit.code, 0);
  ASSERT_TRUE(record.io_written);
  EXPECT_GE(*record.io_written, megabytes(20));
  EXPECT_LE(*record.io_written, megabytes(30));
}

}  // namespace
}  // namespace keisei
