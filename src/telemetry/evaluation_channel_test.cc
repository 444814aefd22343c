#include "telemetry/evaluation_channel.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "base/check.h"

namespace keisei::telemetry {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::string_view kSnapshotBytes = "weights";

UniqueFd snapshot() {
  UniqueFd fd(::memfd_create("snapshot", MFD_CLOEXEC));
  KEISEI_CHECK(::write(fd.get(), kSnapshotBytes.data(), kSnapshotBytes.size()) > 0, "memfd");
  return fd;
}

UpdateRecord update(std::int64_t number) { return {.step = number * 100, .update = number}; }

template <typename T>
T expect(ChannelReceiver& receiver) {
  auto message = receiver.receive();
  KEISEI_CHECK(message && *message && std::holds_alternative<T>(**message),
               "another message, or none");
  return std::get<T>(std::move(**message));
}

bool nothing_waits(ChannelReceiver& receiver) {
  const auto message = receiver.receive();
  return message && !*message;
}

class EvaluationChannel : public testing::Test {
 protected:
  EvaluationChannel() {
    std::string pattern = (std::filesystem::temp_directory_path() / "channelXXXXXX").string();
    KEISEI_CHECK(::mkdtemp(pattern.data()) != nullptr, "mkdtemp");
    run_ = pattern;
  }
  ~EvaluationChannel() override { std::filesystem::remove_all(run_); }

  ChannelSender sender(std::size_t keep = ChannelSender::kDefaultKept) {
    return ChannelSender(listen_in(run_).value(), -1, keep);
  }
  ChannelReceiver attached(ChannelSender& sender) {
    auto receiver = ChannelReceiver::connect_in(run_).value();
    KEISEI_CHECK(sender.poll_accept(hello_), "not accepted");
    KEISEI_CHECK(expect<Hello>(receiver).record == hello_, "another hello");
    return receiver;
  }

  std::filesystem::path run_;
  const HelloRecord hello_{.pid = 4, .step = 8, .net = "b2c32"};
};

TEST_F(EvaluationChannel, CarriesRecordsInOrder) {
  ChannelSender learner = sender();
  ChannelReceiver supervisor = attached(learner);
  learner.send(update(1));
  learner.send(CheckpointRecord{.step = 100, .path = "a", .seconds = 1});
  learner.send(FinishedRecord{.step = 100, .reason = "stopped"});
  EXPECT_EQ(expect<UpdateRecord>(supervisor).update, 1);
  EXPECT_EQ(expect<CheckpointRecord>(supervisor).path, "a");
  EXPECT_EQ(expect<FinishedRecord>(supervisor).reason, "stopped");
  EXPECT_TRUE(nothing_waits(supervisor));
  EXPECT_TRUE(learner.connected());
}

TEST_F(EvaluationChannel, CarriesASnapshotAsADescriptorOfTheSameMemory) {
  ChannelSender learner = sender();
  ChannelReceiver supervisor = attached(learner);
  {
    const UniqueFd memory = snapshot();
    EXPECT_EQ(learner.send_notice({.step = 100, .sequence = 1, .seal_ms = 0.1}, memory.get()),
              NoticeOutcome::Sent);
  }
  const Notice notice = expect<Notice>(supervisor);
  std::array<char, 7> bytes{};
  ASSERT_EQ(::pread(notice.snapshot.get(), bytes.data(), bytes.size(), 0), 7);
  EXPECT_EQ(std::string_view(bytes.data(), bytes.size()), kSnapshotBytes);
  EXPECT_EQ(notice.record.step, 100);
  EXPECT_EQ(::fcntl(notice.snapshot.get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(EvaluationChannel, HelloCarriesTheStepClock) {
  const UniqueFd clock = snapshot();
  ChannelSender learner(listen_in(run_).value(), clock.get());
  auto supervisor = ChannelReceiver::connect_in(run_).value();
  EXPECT_TRUE(learner.poll_accept(hello_));
  EXPECT_TRUE(expect<Hello>(supervisor).step_clock);
}

TEST_F(EvaluationChannel, KeepsRecordsUntilASupervisorComes) {
  ChannelSender learner = sender();
  EXPECT_FALSE(learner.poll_accept(hello_));
  learner.send(update(1));
  learner.send(update(2));
  EXPECT_EQ(learner.kept(), 2u);
  ChannelReceiver supervisor = attached(learner);
  EXPECT_EQ(expect<UpdateRecord>(supervisor).update, 1);
  EXPECT_EQ(expect<UpdateRecord>(supervisor).update, 2);
  EXPECT_EQ(learner.kept(), 0u);
}

TEST_F(EvaluationChannel, DropsTheOldestRecordsBeyondItsCapacityAndCountsThem) {
  ChannelSender learner = sender(3);
  for (int i = 1; i <= 5; ++i) {
    learner.send(update(i));
  }
  EXPECT_EQ(learner.records_dropped(), 2u);
  ChannelReceiver supervisor = attached(learner);
  EXPECT_EQ(expect<UpdateRecord>(supervisor).update, 3);
}

TEST_F(EvaluationChannel, NeverKeepsANoticeForLater) {
  ChannelSender learner = sender();
  const UniqueFd memory = snapshot();
  EXPECT_EQ(learner.send_notice({.step = 1, .sequence = 1}, memory.get()),
            NoticeOutcome::SkippedNoPeer);
  EXPECT_EQ(learner.notices_skipped(), 1u);
  ChannelReceiver supervisor = attached(learner);
  EXPECT_TRUE(nothing_waits(supervisor));
}

TEST_F(EvaluationChannel, AFullSocketKeepsRecordsAndSkipsNoticesWithoutBlocking) {
  ChannelSender learner = sender();
  ChannelReceiver supervisor = attached(learner);
  int sent = 0;
  while (learner.kept() == 0) {
    learner.send(update(++sent));
  }
  const UniqueFd memory = snapshot();
  EXPECT_EQ(learner.send_notice({.step = 1, .sequence = 1}, memory.get()),
            NoticeOutcome::SkippedFull);
  for (int i = 1; i < sent; ++i) {
    EXPECT_EQ(expect<UpdateRecord>(supervisor).update, i);
  }
  learner.send(update(sent + 1));
  EXPECT_EQ(expect<UpdateRecord>(supervisor).update, sent);
  EXPECT_EQ(expect<UpdateRecord>(supervisor).update, sent + 1);
}

TEST_F(EvaluationChannel, ALearnerAtItsEndWaitsForASupervisorThatReadsLate) {
  ChannelSender learner = sender();
  ChannelReceiver supervisor = attached(learner);
  int sent = 0;
  while (learner.kept() == 0) {
    learner.send(update(++sent));
  }
  learner.send(FinishedRecord{.step = 1, .reason = "all steps done"});
  learner.send_rest(1ms);
  EXPECT_EQ(learner.kept(), 2U);
  std::jthread late([&] {
    for (int left = sent; left > 0;) {
      const auto message = supervisor.receive();
      left -= message && *message ? 1 : 0;
    }
  });
  learner.send_rest(60s);
  EXPECT_EQ(learner.kept(), 0U);
}

TEST_F(EvaluationChannel, ALearnerAtItsEndDoesNotWaitForASupervisorThatIsGone) {
  ChannelSender learner = sender();
  {
    ChannelReceiver supervisor = attached(learner);
    while (learner.kept() == 0) {
      learner.send(update(1));
    }
  }
  learner.send_rest(24h);
  EXPECT_GT(learner.kept(), 0U);
}

TEST_F(EvaluationChannel, NoticesThatTheSupervisorDiedAndServesTheNext) {
  ChannelSender learner = sender();
  { ChannelReceiver dying = attached(learner); }
  EXPECT_FALSE(learner.connected());
  learner.send(update(7));
  ChannelReceiver next = attached(learner);
  EXPECT_EQ(expect<UpdateRecord>(next).update, 7);
}

TEST_F(EvaluationChannel, TurnsASecondSupervisorAwayWhileTheFirstLives) {
  ChannelSender learner = sender();
  ChannelReceiver first = attached(learner);
  auto second = ChannelReceiver::connect_in(run_).value();
  EXPECT_FALSE(learner.poll_accept(hello_));
  expect<Closed>(second);
  learner.send(update(1));
  EXPECT_EQ(expect<UpdateRecord>(first).update, 1);
}

TEST_F(EvaluationChannel, TheEndOfTheLearnerComesAfterWhatItSent) {
  std::optional<ChannelReceiver> supervisor;
  {
    ChannelSender learner = sender();
    supervisor = attached(learner);
    learner.send(FinishedRecord{.step = 1, .reason = "all steps done"});
  }
  EXPECT_EQ(expect<FinishedRecord>(*supervisor).step, 1);
  expect<Closed>(*supervisor);
  expect<Closed>(*supervisor);
}

TEST_F(EvaluationChannel, SaysSoWhenNoLearnerRuns) {
  EXPECT_THAT(ChannelReceiver::connect_in(run_).error().message, HasSubstr("no learner runs"));
  { ChannelSender dead = sender(); }
  EXPECT_THAT(ChannelReceiver::connect_in(run_).error().message, HasSubstr("no learner runs"));
}

TEST_F(EvaluationChannel, ReplacesTheSocketOfADeadLearnerOnly) {
  { ChannelSender dead = sender(); }
  ChannelSender alive = sender();
  EXPECT_THAT(listen_in(run_).error().message, HasSubstr("already runs"));
  ChannelReceiver supervisor = attached(alive);
}

TEST_F(EvaluationChannel, LeavesAFileThatIsNoSocketAlone) {
  std::ofstream(run_ / kLearnerSocketName) << "mine";
  EXPECT_THAT(listen_in(run_).error().message, HasSubstr("not a socket"));
}

TEST_F(EvaluationChannel, WorksInDirectoriesWithLongNames) {
  const auto top = run_;
  run_ = run_ / std::string(200, 'a') / std::string(200, 'b');
  std::filesystem::create_directories(run_);
  ChannelSender learner = sender();
  ChannelReceiver supervisor = attached(learner);
  EXPECT_EQ(supervisor.peer_pid().value(), ::getpid());
  run_ = top;
}

TEST_F(EvaluationChannel, GoesOnBehindGarbage) {
  const UniqueFd listening = listen_in(run_).value();
  auto supervisor = ChannelReceiver::connect_in(run_).value();
  const UniqueFd peer(::accept(listening.get(), nullptr, nullptr));
  const auto say = [&](std::string_view text) {
    return ::send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(text.size());
  };
  ASSERT_TRUE(say("\x01\x02garbage"));
  ASSERT_TRUE(say(R"({"type":"notice","step":1,"sequence":1,"seal_ms":0})"));
  ASSERT_TRUE(say(R"({"type":"dance"})"));
  ASSERT_TRUE(say(std::string(kMaxMessageBytes + 1, ' ')));
  ASSERT_TRUE(say(R"({"type":"finished","step":3,"reason":"x"})"));
  EXPECT_THAT(supervisor.receive().error().message, HasSubstr("not a message"));
  EXPECT_THAT(supervisor.receive().error().message, HasSubstr("without its snapshot"));
  EXPECT_THAT(supervisor.receive().error().message, HasSubstr("unknown type"));
  EXPECT_THAT(supervisor.receive().error().message, HasSubstr("longer than"));
  EXPECT_EQ(expect<FinishedRecord>(supervisor).step, 3);
}

TEST_F(EvaluationChannel, ClosesADescriptorThatNobodyAskedFor) {
  UniqueFd fd = snapshot();
  const int number = fd.get();
  EXPECT_TRUE(
      parse_message(R"({"type":"finished","step":3,"reason":"x"})", std::move(fd)).has_value());
  EXPECT_EQ(::fcntl(number, F_GETFD), -1);
}

}  // namespace
}  // namespace keisei::telemetry
