#include "telemetry/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"

namespace keisei::telemetry {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class LogTest : public testing::Test {
 protected:
  LogTest() : file_(std::filesystem::temp_directory_path() / fmt::format("log{}", ::getpid())) {}
  ~LogTest() override { std::filesystem::remove(file_); }

  std::filesystem::path file_;
};

TEST_F(LogTest, WritesTheSameLineForPeopleAndAsJson) {
  testing::internal::CaptureStderr();
  Log::open(LogLevel::Info, file_).value().info("step {} «{}»", 12, "a\"b");
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("info step 12 «a\"b»\n"));
  EXPECT_THAT(read_file(file_).value(),
              HasSubstr(R"(,"level":"info","message":"step 12 «a\"b»"})"));
}

TEST_F(LogTest, LeavesOutWhatIsBelowItsLevel) {
  testing::internal::CaptureStderr();
  Log log = Log::open(LogLevel::Warning, file_).value();
  log.debug("one");
  log.info("two");
  log.warning("three");
  log.error("four");
  const auto wanted =
      AllOf(Not(HasSubstr("one")), Not(HasSubstr("two")), HasSubstr("three"), HasSubstr("four"));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), wanted);
  EXPECT_THAT(read_file(file_).value(), wanted);
}

TEST_F(LogTest, TakesTextWithBracesFromEventsAsItIs) {
  testing::internal::CaptureStderr();
  Log::open(LogLevel::Info, file_)
      .value()
      .event({.kind = "worker_killed", .message = "{oops} {}", .detail = R"({"limit": 5})"});
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("{oops} {}"));
  EXPECT_THAT(read_file(file_).value(),
              HasSubstr(R"("kind":"worker_killed","detail":{"limit":5}})"));
}

TEST_F(LogTest, AppendsToTheLogOfAnEarlierRun) {
  testing::internal::CaptureStderr();
  Log::open(LogLevel::Info, file_).value().info("first");
  Log::open(LogLevel::Info, file_).value().info("second");
  testing::internal::GetCapturedStderr();
  EXPECT_THAT(read_file(file_).value(), AllOf(HasSubstr("first"), HasSubstr("second")));
}

TEST_F(LogTest, SaysWhichFileCannotBeOpened) {
  EXPECT_THAT(Log::open(LogLevel::Info, "/proc/none/log.jsonl").error().message,
              HasSubstr("/proc/none/log.jsonl"));
}

TEST_F(LogTest, SaysOnceThatTheDiskIsFullAndGoesOn) {
  testing::internal::CaptureStderr();
  Log log = Log::open(LogLevel::Info, "/dev/full").value();
  log.info("one");
  log.info("two");
  const std::string text = testing::internal::GetCapturedStderr();
  const auto first = text.find("cannot be written");
  EXPECT_NE(first, std::string::npos);
  EXPECT_EQ(text.find("cannot be written", first + 1), std::string::npos);
  EXPECT_THAT(text, HasSubstr("two"));
}

}  // namespace
}  // namespace keisei::telemetry
