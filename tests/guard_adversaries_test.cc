// Every row of tests/adversaries/table against the production road.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "adversaries_fixture.h"
#include "adversary_table.h"
#include "host_mechanisms.h"

namespace keisei::testing_support {

/// How gtest shows a row.
void PrintTo(const AdversaryRow& row, std::ostream* out) { *out << row.name; }

namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::MatchesRegex;

std::vector<AdversaryRow> rows() {
  Result<std::vector<AdversaryRow>> table = read_adversary_table();
  EXPECT_TRUE(table) << table.error().message;
  return table ? *table : std::vector<AdversaryRow>{};
}

std::string test_name(const testing::TestParamInfo<AdversaryRow>& row) {
  return fmt::format("{:02}{}", row.param.number, row.param.name);
}

/// A sealed memfd full of something.
UniqueFd make_weights(Bytes size) {
  UniqueFd weights(memfd_create("weights", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const std::vector<char> block(1'000'000, 'w');
  for (std::int64_t written = 0; written < size.count; written += 1'000'000) {
    EXPECT_EQ(write(weights.get(), block.data(), block.size()), 1'000'000);
  }
  EXPECT_EQ(
      fcntl(weights.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL),
      0);
  return weights;
}

void expect_unchanged(int weights, Bytes size) {
  EXPECT_EQ(lseek(weights, 0, SEEK_END), size.count);
  std::vector<char> content(1'000'000);
  EXPECT_EQ(pread(weights, content.data(), content.size(), 0), 1'000'000);
  EXPECT_EQ(std::ranges::count(content, 'w'), 1'000'000);
}

class AdversaryTable : public Adversaries, public testing::WithParamInterface<AdversaryRow> {
 protected:
  [[nodiscard]] guard::GuardedCommand command() const {
    const AdversaryRow& row = GetParam();
    std::vector<std::string> arguments(row.arguments.begin() + 1, row.arguments.end());
    for (std::string& argument : arguments) {
      if (argument.starts_with("@")) {
        argument.replace(0, 1, runs_.directory().string());
      }
    }
    guard::GuardedCommand command = runs_.adversary(row.arguments.front(), std::move(arguments));
    command.profile = row.profile;
    command.containment = row.containment;
    command.without = row.without;
    command.scheduling = row.scheduling;
    if (row.reports) {
      read_report(command);
    }
    return command;
  }
};

bool is_sampled(const guard::GuardRecord& record) { return record.cause.starts_with("memory_mb"); }

/// Milliseconds, seen by the benches: a tenfold of that on a busy machine.
bool in_time(const guard::GuardRecord& record, const AdversaryRow& row) {
  return record.latency_ms < milliseconds(row.limits.timeout) + 1000 &&
         record.kill_ms.value_or(0) < 1000;
}

TEST_P(AdversaryTable, EndsAsItsRowSays) {
  const AdversaryRow& row = GetParam();
  for (const std::string& mechanism : row.needs) {
    if (!host_has(mechanism)) {
      GTEST_SKIP() << not_enforced_here(mechanism);
    }
  }
  covers(row.number);
  UniqueFd weights;
  if (row.weights > Bytes{}) {
    weights = make_weights(row.weights);
  }
  guard::GuardedRun ended;
  // How far it got where it is sampled, and how soon it was dead, are questions of speed: that a
  // host takes the guard's processor away for a while is no fault of the guard's.
  for (int attempt = 0; attempt < 3; ++attempt) {
    guard::GuardedCommand evil = command();
    if (weights) {
      evil.fds = {{weights.get(), 5}};
    }
    ended = run(std::move(evil), row.limits);
    if (emulated() || (in_time(ended.record, row) &&
                       (!is_sampled(ended.record) || ended.record.peak_memory <= row.peak))) {
      break;
    }
  }
  const guard::GuardRecord& record = ended.record;
  SCOPED_TRACE(ended.stderr_tail);
  if (emulated() && record.outcome == guard::Outcome::Unkillable) {
    // There a hundred that hold memory take about as long to die of a plain killall.
    EXPECT_THAT(record.cause, MatchesRegex("still there .*it was to end because: " + row.cause));
    EXPECT_TRUE(runs_.gone_soon());
    return;
  }
  EXPECT_EQ(record.outcome, row.outcome) << record.cause;
  EXPECT_THAT(record.cause, MatchesRegex(row.cause));
  if (!is_sampled(record) || !emulated()) {
    EXPECT_LE(record.peak_memory, row.peak) << to_string(record.peak_memory);
  }
  EXPECT_EQ(record.outcome == guard::Outcome::TimedOut,
            record.latency_ms >= milliseconds(row.limits.timeout));
  if (!emulated()) {
    EXPECT_TRUE(in_time(record, row)) << record.latency_ms << ", " << record.kill_ms.value_or(0);
  }
  EXPECT_LE(record.cpu_seconds, row.cpu_seconds.value_or(1e9));
  const bool throttled = record.cgroup && record.cgroup->throttled_ms > 0;  // by cpu.max instead
  EXPECT_EQ(record.paused_ms > 0 || throttled, row.paused);
  if (row.exit.code || row.exit.signal) {
    EXPECT_EQ(record.exit.code, row.exit.code);
    EXPECT_EQ(record.exit.signal, row.exit.signal);
  }
  EXPECT_THAT(ended.stderr_tail, HasSubstr(row.said));
  EXPECT_LE(ended.stderr_tail.size(), 4096U);
  if (!row.unheld.empty()) {
    EXPECT_THAT(record.tier.not_enforced, Contains(HasSubstr(row.unheld)));
  }
  if (weights) {
    expect_unchanged(weights.get(), row.weights);
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, AdversaryTable, testing::ValuesIn(rows()), test_name);

TEST(AdversaryRows, HasEveryRowThatIsNotTheImpactIssues) {
  std::set<int> found = {12, 13, 14, 23, 24, 25, 27};  // guard_faults_test.cc
  for (const AdversaryRow& row : rows()) {
    found.insert(row.number);
  }
  std::set<int> expected;
  for (int number = 1; number <= 27; ++number) {
    if (number != 17 && number != 18) {
      expected.insert(number);
    }
  }
  EXPECT_EQ(found, expected);
}

}  // namespace
}  // namespace keisei::testing_support
