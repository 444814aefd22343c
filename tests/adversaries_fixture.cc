#include "adversaries_fixture.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <ranges>

#include "guard/run_cgroup.h"
#include "host_mechanisms.h"

namespace keisei::testing_support {

using testing::IsEmpty;

namespace {

constexpr auto kLongestGap = std::chrono::seconds(1);

int property(const testing::TestInfo& test, const char* key) {
  for (int i = 0; i < test.result()->test_property_count(); ++i) {
    if (test.result()->GetTestProperty(i).key() == std::string_view(key)) {
      return std::atoi(test.result()->GetTestProperty(i).value());
    }
  }
  return 0;
}

}  // namespace

void Adversaries::SetUp() {
  trainer_.emplace();
  stalls_.emplace();
  descriptors_ = open_descriptors();
}

void Adversaries::TearDown() {
  if (IsSkipped()) {
    return;  // nothing has run
  }
  EXPECT_THAT(runs_.survivors(), IsEmpty());
  EXPECT_EQ(open_descriptors(), descriptors_);
  EXPECT_THAT(runs_.leftovers(), IsEmpty());
  EXPECT_EQ(runs_.free_slots(4), 4);
  const BesideTrainer::Account account = trainer_->account();
  EXPECT_TRUE(account.alive);
  EXPECT_GT(account.ticks, 0U);
  EXPECT_EQ(account.failed_forks, 0);
  if (!emulated()) {
    // Where the host stood still nobody can do better; for no longer, or the run has done it.
    EXPECT_LT(account.largest_gap,
              kLongestGap + std::min<std::chrono::nanoseconds>(stalls_->longest(), kLongestGap));
  }
  RecordProperty("largest_gap_ms", static_cast<int>(milliseconds(account.largest_gap)));
  stalls_.reset();
  trainer_.reset();
}

guard::GuardedRun Adversaries::run(guard::GuardedCommand command, guard::EvaluationLimits limits) {
  limits.max_concurrent = 1;
  const guard::GuardedRun result = runs_.run(std::move(command), limits);
  const guard::GuardRecord& record = result.record;
  fmt::print("{}: {}; peak {} of {}, {:.2f} CPU s, ended after {:.0f} ms{}, gap {:.0f} ms\n",
             guard::to_string(record.outcome), record.cause, to_string(record.peak_memory),
             to_string(limits.memory), record.cpu_seconds, record.latency_ms,
             record.kill_ms ? fmt::format(", killed in {:.1f} ms", *record.kill_ms) : "",
             milliseconds(trainer_->account().largest_gap));
  const guard::GuardedRun next = runs_.run(reporter("good"), {.max_concurrent = 1});
  EXPECT_EQ(next.record.outcome, guard::Outcome::Finished) << next.record.cause;
  return result;
}

guard::GuardedCommand Adversaries::reporter(const std::string& what) const {
  guard::GuardedCommand command = runs_.adversary("report", {what});
  read_report(command);
  return command;
}

void Adversaries::read_report(guard::GuardedCommand& command) {
  command.report_fd = 3;
  command.report_limit = megabytes(1);
  command.report_check = [](std::string_view report) -> Result<guard::ReportKind> {
    if (!nlohmann::json::accept(report)) {
      return fail("the report is not JSON");
    }
    return guard::ReportKind::Complete;
  };
}

void AdversarySummary::OnTestIterationStart(const testing::UnitTest& /*tests*/, int /*iteration*/) {
  held_.clear();
  broken_.clear();
  largest_gap_ms_ = 0;
}

void AdversarySummary::OnTestEnd(const testing::TestInfo& test) {
  largest_gap_ms_ = std::max(largest_gap_ms_, property(test, "largest_gap_ms"));
  if (const int row = property(test, "row"); row > 0) {
    (test.result()->Failed() ? broken_ : held_).push_back(row);
  }
}

void AdversarySummary::OnTestIterationEnd(const testing::UnitTest& tests, int iteration) {
  for (std::vector<int>* rows : {&held_, &broken_}) {
    std::ranges::sort(*rows);
    rows->erase(std::ranges::unique(*rows).begin(), rows->end());
  }
  std::erase_if(held_, [&](int row) { return std::ranges::count(broken_, row) > 0; });
  fmt::print(
      "adversaries, run {} as {}: {} of {} rows hold{}; {} of {} tests passed{} in {:.1f} s; "
      "largest heartbeat gap {} ms\n",
      iteration + 1, geteuid() == 0 ? "root" : fmt::format("user {}", geteuid()), held_.size(),
      held_.size() + broken_.size(),
      broken_.empty() ? "" : fmt::format(" (not {})", fmt::join(broken_, ", ")),
      tests.successful_test_count(), tests.test_to_run_count(),
      tests.skipped_test_count() > 0 ? fmt::format(", {} skipped", tests.skipped_test_count()) : "",
      static_cast<double>(tests.elapsed_time()) / 1000, largest_gap_ms_);
}

}  // namespace keisei::testing_support

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  (void)keisei::guard::enter_cgroup();  // before the first trainer, as keisei train does
  testing::UnitTest::GetInstance()->listeners().Append(
      new keisei::testing_support::AdversarySummary);
  return RUN_ALL_TESTS();
}
