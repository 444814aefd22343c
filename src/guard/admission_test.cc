#include "guard/admission.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <deque>
#include <vector>

namespace keisei::guard {
namespace {

namespace asio = boost::asio;

asio::awaitable<void> admit_into(Admission& admission, RunControl& control, int name,
                                 std::vector<std::pair<int, Admittance>>& answers) {
  Admittance answer = co_await admission.admit(control);
  answers.emplace_back(name, std::move(answer));
}

class AdmissionTest : public testing::Test {
 protected:
  AdmissionTest() {
    std::string pattern = testing::TempDir() + "keisei-slots-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~AdmissionTest() override { std::filesystem::remove_all(directory_); }

  Admission admission(int max_concurrent, int queue) {
    return {loop_.get_executor(),
            {.max_concurrent = max_concurrent, .queue = queue, .directory = directory_}};
  }
  void ask(Admission& admission, int name) {
    asio::co_spawn(loop_, admit_into(admission, control_, name, answers_), asio::detached);
  }
  /// Everything that is ready, without waiting for a timer.
  void settle() {
    loop_.restart();
    loop_.poll();
  }

  std::filesystem::path directory_;
  asio::io_context loop_;
  RunControl control_;
  std::vector<std::pair<int, Admittance>> answers_;
};

TEST_F(AdmissionTest, AdmitsUpToTheLimitAndServesTheQueueInOrder) {
  Admission admitting = admission(2, 16);
  for (int name = 0; name < 5; ++name) {
    ask(admitting, name);
  }
  settle();
  ASSERT_EQ(answers_.size(), 2U);
  EXPECT_EQ(admitting.running(), 2);
  EXPECT_EQ(admitting.queued(), 3);
  answers_[0].second.permit = {};
  settle();
  ASSERT_EQ(answers_.size(), 3U);
  EXPECT_EQ(answers_[2].first, 2);
  answers_[1].second.permit = {};
  answers_[2].second.permit = {};
  settle();
  ASSERT_EQ(answers_.size(), 5U);
  EXPECT_EQ(answers_[3].first, 3);
  EXPECT_EQ(answers_[4].first, 4);
  answers_.clear();
  EXPECT_EQ(admitting.running(), 0);
}

TEST_F(AdmissionTest, RejectsBeyondAFullQueue) {
  Admission admitting = admission(1, 1);
  for (int name = 0; name < 3; ++name) {
    ask(admitting, name);
  }
  settle();
  ASSERT_EQ(answers_.size(), 2U);
  EXPECT_TRUE(answers_[0].second.permit);
  EXPECT_EQ(answers_[1].first, 2);
  EXPECT_FALSE(answers_[1].second.permit);
  EXPECT_EQ(answers_[1].second.refusal, Outcome::Rejected);
  control_.cancel(Outcome::Cancelled, "test over");
  loop_.run();
  ASSERT_EQ(answers_.size(), 3U);
  EXPECT_EQ(answers_[2].second.refusal, Outcome::Cancelled);
}

TEST_F(AdmissionTest, TwoHoldersOfOneDirectoryShareItsSlots) {
  Admission here = admission(2, 16);
  Admission there = admission(2, 16);
  ask(here, 0);
  ask(there, 1);
  ask(there, 2);
  settle();
  ASSERT_EQ(answers_.size(), 2U);
  answers_[0].second.permit = {};  // «here» cannot wake «there», which looks every 20 ms
  loop_.restart();
  loop_.run();
  EXPECT_EQ(answers_.size(), 3U);
}

TEST_F(AdmissionTest, WithoutADirectoryItCountsItself) {
  Admission admitting(loop_.get_executor(), {.max_concurrent = 1, .queue = 0, .directory = {}});
  ask(admitting, 0);
  ask(admitting, 1);
  settle();
  ASSERT_EQ(answers_.size(), 2U);
  EXPECT_TRUE(answers_[0].second.permit);
  EXPECT_EQ(answers_[1].second.refusal, Outcome::Rejected);
}

TEST_F(AdmissionTest, ADirectoryThatCannotBeMadeIsAStartFailure) {
  Admission admitting(loop_.get_executor(),
                      {.max_concurrent = 1, .queue = 0, .directory = "/proc/no/such"});
  ask(admitting, 0);
  settle();
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_[0].second.refusal, Outcome::StartFailed);
  EXPECT_FALSE(answers_[0].second.cause.empty());
}

}  // namespace
}  // namespace keisei::guard
