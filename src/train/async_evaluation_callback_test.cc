#include "train/async_evaluation_callback.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstdlib>
#include <filesystem>

#include "net/snapshot.h"

namespace keisei::train {
namespace {

constexpr net::NetSpec kSpec{.blocks = 1, .channels = 16};

class AsyncEvaluationCallbackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "callback.XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    Result<UniqueFd> listening = telemetry::listen_in(directory_);
    ASSERT_TRUE(listening) << listening.error().message;
    sender_ = std::make_unique<telemetry::ChannelSender>(std::move(*listening), -1);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  telemetry::ChannelReceiver supervisor() {
    auto receiver = telemetry::ChannelReceiver::connect_in(directory_);
    EXPECT_TRUE(receiver);
    EXPECT_TRUE(sender_->poll_accept({.pid = 1, .step = 0, .net = "b1c16"}));
    return std::move(*receiver);
  }

  void step(AsyncEvaluationCallback& callback, std::int64_t from, std::int64_t to) {
    callback.on_step_end({.previous_step = from,
                          .step = to,
                          .spec = kSpec,
                          .weights = weights_,
                          .update = telemetry::UpdateRecord{}});
  }

  static std::vector<telemetry::Notice> notices(telemetry::ChannelReceiver& receiver) {
    std::vector<telemetry::Notice> result;
    while (true) {
      auto message = receiver.receive();
      if (!message || !*message) {
        return result;
      }
      if (auto* notice = std::get_if<telemetry::Notice>(&**message)) {
        result.push_back(std::move(*notice));
      }
    }
  }

  std::filesystem::path directory_;
  std::unique_ptr<telemetry::ChannelSender> sender_;
  std::vector<float> weights_ = net::initial_weights(kSpec, 5);
};

TEST_F(AsyncEvaluationCallbackTest, FiresAtEveryMultipleThoughRolloutsDoNotDivideIt) {
  telemetry::ChannelReceiver receiver = supervisor();
  AsyncEvaluationCallback callback(*sender_, 1000);
  std::vector<std::int64_t> steps;
  for (std::int64_t at = 0; at + 384 < 5000; at += 384) {
    step(callback, at, at + 384);
    for (const telemetry::Notice& notice : notices(receiver)) {
      steps.push_back(notice.record.step);
    }
  }
  // The first step at or beyond 1000, 2000, 3000 and 4000; 5000 comes one update later.
  EXPECT_EQ(steps, (std::vector<std::int64_t>{1152, 2304, 3072, 4224}));
  EXPECT_EQ(callback.sent(), 4U);
}

TEST_F(AsyncEvaluationCallbackTest, FiresWhenAStepEndsOnTheMultipleItself) {
  telemetry::ChannelReceiver receiver = supervisor();
  AsyncEvaluationCallback callback(*sender_, 512);
  step(callback, 0, 256);
  EXPECT_TRUE(notices(receiver).empty());
  step(callback, 256, 512);
  EXPECT_EQ(notices(receiver).size(), 1U);
  step(callback, 512, 768);
  EXPECT_TRUE(notices(receiver).empty());
}

TEST_F(AsyncEvaluationCallbackTest, OneSnapshotStandsForSeveralMultiples) {
  telemetry::ChannelReceiver receiver = supervisor();
  AsyncEvaluationCallback callback(*sender_, 100);
  step(callback, 0, 1000);
  EXPECT_EQ(notices(receiver).size(), 1U);
}

TEST_F(AsyncEvaluationCallbackTest, TheSnapshotHoldsTheWeightsOfThatStep) {
  telemetry::ChannelReceiver receiver = supervisor();
  AsyncEvaluationCallback callback(*sender_, 100);
  step(callback, 0, 128);
  std::vector<telemetry::Notice> received = notices(receiver);
  ASSERT_EQ(received.size(), 1U);
  std::ranges::fill(weights_, 0.0F);  // training goes on
  const auto snapshot = net::Snapshot::from_fd(std::move(received[0].snapshot));
  ASSERT_TRUE(snapshot) << snapshot.error().message;
  EXPECT_EQ(snapshot->step(), 128U);
  const auto weights = snapshot->weights_for(kSpec);
  ASSERT_TRUE(weights);
  EXPECT_EQ(weights->tensors[0][0], net::initial_weights(kSpec, 5)[0]);
}

TEST_F(AsyncEvaluationCallbackTest, NobodyThereIsACountedSkip) {
  AsyncEvaluationCallback callback(*sender_, 100);
  step(callback, 0, 128);
  EXPECT_EQ(callback.sent(), 0U);
  EXPECT_EQ(callback.skipped(), 1U);
}

TEST_F(AsyncEvaluationCallbackTest, AFullChannelIsACountedSkipAndNeverAWait) {
  const telemetry::ChannelReceiver receiver = supervisor();  // never reads
  AsyncEvaluationCallback callback(*sender_, 1);
  std::int64_t at = 0;
  while (callback.skipped() < 3 && at < 100'000) {
    step(callback, at, at + 1);
    ++at;
  }
  EXPECT_EQ(callback.skipped(), 3U);
  EXPECT_EQ(callback.sent() + callback.skipped(), static_cast<std::uint64_t>(at));
}

TEST_F(AsyncEvaluationCallbackTest, SaysWhyThereIsNoSnapshot) {
  AsyncEvaluationCallback callback(*sender_, 10);
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {.rlim_cur = 1000, .rlim_max = before.rlim_max};  // of a memfd, too
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  step(callback, 0, 10);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, handler);
  EXPECT_EQ(callback.skipped(), 1U);
  EXPECT_TRUE(callback.take_failure());
  EXPECT_FALSE(callback.take_failure());
}

}  // namespace
}  // namespace keisei::train
