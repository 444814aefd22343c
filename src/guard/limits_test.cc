#include "guard/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guard/outcome.h"

namespace keisei::guard {
namespace {

constexpr Bytes kHost = megabytes(16'000);

void expect_refused(const EvaluationLimits& limits, const char* names) {
  const Result<void> answer = validate(limits, kHost);
  ASSERT_FALSE(answer) << names;
  EXPECT_EQ(answer.error().kind, ErrorKind::Usage);
  EXPECT_THAT(answer.error().message, testing::HasSubstr(names));
}

TEST(EvaluationLimits, TheDefaultsAreValid) { EXPECT_TRUE(validate({}, kHost)); }

TEST(EvaluationLimits, RefusesWhatCannotBeMeant) {
  expect_refused({.max_concurrent = 0}, "max_concurrent");
  expect_refused({.timeout = {}}, "timeout");
  expect_refused({.timeout = std::chrono::seconds(-1)}, "timeout");
  expect_refused({.memory = {}}, "memory");
  expect_refused({.memory = {-1}}, "memory");
  expect_refused({.cpu_percent = 0}, "cpu");
  expect_refused({.processes = 0}, "processes");
  expect_refused({.file_size = Bytes{0}}, "file size");
  expect_refused({.queue = -1}, "queue");
}

TEST(EvaluationLimits, RefusesMoreMemoryThanTheHostHas) {
  expect_refused({.memory = kHost + Bytes{1}}, "16 GB");
  EXPECT_TRUE(validate({.memory = kHost}, kHost));
}

TEST(EvaluationLimits, TheHostTellsItsMemory) {
  const Result<Bytes> memory = host_memory();
  ASSERT_TRUE(memory);
  EXPECT_GT(*memory, megabytes(100));
}

TEST(Outcome, EachNameReadsBackAsItself) {
  int known = 0;
  for (int i = 0; i < 64; ++i) {
    const std::string_view name = to_string(static_cast<Outcome>(i));
    if (!name.empty()) {
      EXPECT_EQ(parse_outcome(name), static_cast<Outcome>(i)) << name;
      ++known;
    }
  }
  EXPECT_EQ(known, 16);
  EXPECT_EQ(parse_outcome("Fine"), std::nullopt);
}

}  // namespace
}  // namespace keisei::guard
