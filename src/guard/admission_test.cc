#include "guard/admission.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <deque>
#include <vector>

#include "base/file.h"
#include "base/unique_fd.h"
#include "guard/slot_directory.h"

namespace keisei::guard {
namespace {

namespace asio = boost::asio;

asio::awaitable<void> admit_into(Admission& admission, RunControl& control, int name,
                                 std::vector<std::pair<int, Admittance>>& answers, Gate gate = {}) {
  Admittance answer = co_await admission.admit(control, std::move(gate));
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

TEST_F(AdmissionTest, AWaiterOfAnotherHolderThatCameFirstGoesFirst) {
  Admission here = admission(1, 16);
  Admission there = admission(1, 16);
  ask(here, 0);
  ask(there, 1);
  ask(here, 2);  // is woken at once by what «here» gives back, and still has to wait
  settle();
  ASSERT_EQ(answers_.size(), 1U);
  answers_[0].second.permit = {};
  loop_.restart();
  while (answers_.size() < 2) {
    loop_.run_one();
  }
  EXPECT_EQ(answers_[1].first, 1);
  answers_[1].second.permit = {};
  loop_.restart();
  loop_.run();
  ASSERT_EQ(answers_.size(), 3U);
  EXPECT_EQ(answers_[2].first, 2);
}

TEST_F(AdmissionTest, TheQueueIsBoundedOverAllHolders) {
  Admission here = admission(1, 2);
  Admission there = admission(1, 2);
  ask(here, 0);
  ask(here, 1);
  ask(there, 2);
  ask(there, 3);
  settle();
  ASSERT_EQ(answers_.size(), 2U);
  EXPECT_EQ(answers_[1].first, 3);
  EXPECT_EQ(answers_[1].second.refusal, Outcome::Rejected);
  control_.cancel(Outcome::Cancelled, "test over");
  loop_.run();
}

TEST_F(AdmissionTest, WhatTheDeadLeftHoldsNobodyUp) {
  for (const char* left : {"ticket-000000001.lock", "ticket-000000900.lock", "slot-0.lock",
                           "queue.lock", "ticket-999999999999999999999.lock", "ticket-x.lock"}) {
    ASSERT_TRUE(UniqueFd(open((directory_ / left).c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600)));
  }
  Admission admitting = admission(1, 1);
  ask(admitting, 0);
  ask(admitting, 1);
  settle();
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_TRUE(answers_[0].second.permit);
  EXPECT_EQ(admitting.queued(), 1);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "ticket-000000900.lock"));
  answers_.clear();
  loop_.restart();
  loop_.run();
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_TRUE(answers_[0].second.permit);
}

/// To read a lock file is to be able to lock it.
TEST_F(AdmissionTest, OnlyWhoMayWriteToTheDirectoryMayReadItsFiles) {
  const auto mode = [&](const char* name) {
    struct stat status = {};
    EXPECT_EQ(stat((directory_ / name).c_str(), &status), 0) << name;
    return status.st_mode & ALLPERMS;
  };
  const mode_t before = umask(077);  // what the directory says, and not the umask
  for (const auto& [directory, file] :
       {std::pair<mode_t, mode_t>{0775, 0640}, {01777, 0644}, {0755, 0600}}) {
    EXPECT_EQ(chmod(directory_.c_str(), directory), 0);
    if (directory != 0755) {  // narrower ones are narrowed, wider ones not widened
      std::filesystem::remove(directory_ / "queue.lock");
      std::filesystem::remove(directory_ / "slot-0.lock");
    }
    Admission admitting = admission(1, 1);
    ask(admitting, 0);
    ask(admitting, 1);
    settle();
    for (const char* name : {"queue.lock", "slot-0.lock", "ticket-000000001.lock"}) {
      EXPECT_EQ(mode(name), file) << name << " in a directory of mode " << std::oct << directory;
    }
    answers_.clear();
    loop_.restart();
    loop_.run();
    answers_.clear();
  }
  umask(before);
}

TEST_F(AdmissionTest, AFileWithASecondNameKeepsItsMode) {
  const std::filesystem::path other = directory_ / "other";
  ASSERT_TRUE(UniqueFd(open(other.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0644)));
  ASSERT_EQ(chmod(other.c_str(), 0644), 0);
  std::filesystem::create_hard_link(other, directory_ / "slot-0.lock");
  Admission admitting = admission(1, 1);
  ask(admitting, 0);
  settle();
  struct stat status = {};
  ASSERT_EQ(stat(other.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & ALLPERMS, 0644U);
}

/// Who may write to the directory can move what is ours to a lock's name.
TEST_F(AdmissionTest, AFileOfOursUnderALocksNameGetsNoReaders) {
  const std::filesystem::path slot = directory_ / "slot-0.lock";
  for (const char* contents : {"", "secret"}) {
    ASSERT_TRUE(write_file_atomically(slot, std::as_bytes(std::span(std::string_view(contents)))));
    ASSERT_EQ(chmod(slot.c_str(), 0600), 0);
    ASSERT_EQ(chmod(directory_.c_str(), 01777), 0);
    answers_.clear();
    Admission admitting = admission(1, 1);
    ask(admitting, 0);
    settle();
    struct stat status = {};
    ASSERT_EQ(stat(slot.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & ALLPERMS, 0600U) << contents;
  }
}

TEST_F(AdmissionTest, WhereTheNumbersEndNobodyWaitsUnseen) {
  const std::filesystem::path last = directory_ / "ticket-1000000000000.lock";
  const UniqueFd ticket(open(last.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(flock(ticket.get(), LOCK_EX | LOCK_NB), 0);
  Admission admitting = admission(1, 4);
  ask(admitting, 0);
  settle();
  EXPECT_FALSE(std::filesystem::exists(directory_ / "ticket-1000000000001.lock"));
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_[0].second.refusal, Outcome::StartFailed);
  EXPECT_NE(answers_[0].second.cause.find("remove that file"), std::string::npos)
      << answers_[0].second.cause;
}

TEST_F(AdmissionTest, NobodyWhoLeavesTheQueueLeavesATicket) {
  Admission admitting = admission(1, 3);
  for (int name = 0; name < 4; ++name) {
    ask(admitting, name);
  }
  settle();
  control_.cancel(Outcome::Cancelled, "test over");
  loop_.restart();
  loop_.run();
  EXPECT_EQ(answers_.size(), 4U);
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    EXPECT_FALSE(entry.path().filename().string().starts_with("ticket-")) << entry.path();
  }
}

TEST_F(AdmissionTest, ASlotFileThatIsNoPlainFileIsNotWaitedFor) {
  ASSERT_EQ(mkfifo((directory_ / "slot-0.lock").c_str(), 0600), 0);
  Admission admitting = admission(1, 1);
  ask(admitting, 0);
  settle();  // returns: nobody waits for a writer
  EXPECT_EQ(answers_.size(), 1U);
}

TEST_F(AdmissionTest, WithAGateThatSaysLaterKeepsItsPlaceAndTheSlotFree) {
  Admission admitting = admission(1, 2);
  Go go = Go::Later;
  asio::co_spawn(loop_,
                 admit_into(admitting, control_, 0, answers_,
                            [&go] {
                              return GateAnswer{go, "why"};
                            }),
                 asio::detached);
  ask(admitting, 1);
  settle();
  EXPECT_TRUE(answers_.empty());
  EXPECT_EQ(admitting.queued(), 2);
  {
    const UniqueFd slot(open((directory_ / "slot-0.lock").c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_TRUE(!slot || flock(slot.get(), LOCK_EX | LOCK_NB) == 0);
  }
  go = Go::Now;
  loop_.restart();
  while (answers_.empty()) {
    loop_.run_one();
  }
  EXPECT_EQ(answers_[0].first, 0);
  control_.cancel(Outcome::Cancelled, "test over");
  loop_.run();
}

TEST_F(AdmissionTest, WithAGateThatSaysNeverIsRejectedWithItsCause) {
  for (const std::filesystem::path& directory : {directory_, std::filesystem::path()}) {
    Admission admitting(loop_.get_executor(),
                        {.max_concurrent = 1, .queue = 2, .directory = directory});
    asio::co_spawn(loop_,
                   admit_into(admitting, control_, 0, answers_,
                              [] {
                                return GateAnswer{Go::Never, "no memory"};
                              }),
                   asio::detached);
    settle();
    ASSERT_EQ(answers_.size(), 1U);
    EXPECT_EQ(answers_[0].second.refusal, Outcome::Rejected);
    EXPECT_EQ(answers_[0].second.cause, "no memory");
    answers_.clear();
  }
}

TEST_F(AdmissionTest, WhereNobodyMayWaitAGateThatSaysLaterRejects) {
  Admission admitting = admission(1, 0);
  asio::co_spawn(loop_,
                 admit_into(admitting, control_, 0, answers_,
                            [] {
                              return GateAnswer{Go::Later, "no memory"};
                            }),
                 asio::detached);
  settle();
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_[0].second.refusal, Outcome::Rejected);
  EXPECT_NE(answers_[0].second.cause.find("no memory"), std::string::npos);
}

TEST_F(AdmissionTest, ADirectoryThatTakesNoFileIsAStartFailureThatSaysWhatToDo) {
  for (const char* name : {"/proc/self", "/dev/null"}) {
    Admission admitting(loop_.get_executor(), {.max_concurrent = 1, .queue = 1, .directory = name});
    ask(admitting, 0);
    settle();
    ASSERT_EQ(answers_.size(), 1U);
    EXPECT_EQ(answers_[0].second.refusal, Outcome::StartFailed);
    EXPECT_NE(answers_[0].second.cause.find("slots directory"), std::string::npos)
        << answers_[0].second.cause;
    answers_.clear();
  }
}

TEST_F(AdmissionTest, CountsTheThreadsOfThoseThatRun) {
  Admission admitting = admission(2, 1);
  ask(admitting, 0);
  ask(admitting, 1);
  settle();
  ASSERT_EQ(answers_.size(), 2U);
  answers_[0].second.permit.compute_with(8);
  answers_[1].second.permit.compute_with(2);
  answers_[0].second.permit.compute_with(3);  // it was made smaller
  Permit moved = std::move(answers_[0].second.permit);
  EXPECT_EQ(admitting.threads(), 5);
  answers_.clear();
  EXPECT_EQ(admitting.threads(), 3);
  moved = {};
  EXPECT_EQ(admitting.threads(), 0);
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
