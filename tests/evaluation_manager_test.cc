// The three entries of EvaluationManager, with the real jail and the real worker.

#include "eval/evaluation_manager.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <exception>
#include <functional>

#include "base/file.h"
#include "pressure_fixture.h"
#include "program.h"
#include "store/run_store.h"

namespace keisei::tests {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using Evaluated = Result<telemetry::EvaluationRecord>;

class Kept final : public telemetry::RecordSink {
 public:
  Result<void> add(const telemetry::Record& record) override {
    records.push_back(std::get<telemetry::EvaluationRecord>(record));
    return {};
  }
  std::vector<telemetry::EvaluationRecord> records;
};

class EvaluationManagerTest : public testing::Test {
 protected:
  explicit EvaluationManagerTest(const guard::EvaluationLimits& limits = {}, int games = 2)
      : guard_(loop_.get_executor(), limits, {}, directory_.path() / "slots",
               guard::HostView{.pressure = {.proc = machine_.path()}, .gpu = {}}),
        evaluations_(guard_, kept_,
                     {.opponents = {{match::PlayerKind::Random, {}}},
                      .games = games,
                      .max_plies = 40,
                      .worker = fs::path(KEISEI_BIN) / "keisei-worker",
                      .run_directory = directory_.path()}) {
    const net::NetSpec spec{.blocks = 2, .channels = 32};
    const auto weights = net::initial_weights(spec, 3);
    bytes_ = net::serialise_safetensors(net::weight_tensors(spec, weights),
                                        net::snapshot_metadata(spec, 640));
  }

  /// Runs the loop until `evaluation` has ended; `meanwhile` once it has begun.
  telemetry::EvaluationRecord ended(
      asio::awaitable<Evaluated> evaluation, const std::function<void()>& meanwhile = [] {}) {
    Evaluated result = fail("it never ended");
    asio::co_spawn(loop_, std::move(evaluation),
                   [&result](const std::exception_ptr& thrown, Evaluated record) {
                     EXPECT_FALSE(thrown);
                     result = std::move(record);
                   });
    asio::post(loop_, meanwhile);
    loop_.restart();
    loop_.run();
    EXPECT_TRUE(result) << result.error().message;
    return result.value_or(telemetry::EvaluationRecord{});
  }

  /// `do_so` when its worker has started.
  void while_it_runs(asio::steady_timer& timer, const std::function<void()>& do_so) {
    if (guard_.running() > 0) {
      do_so();
      return;
    }
    timer.expires_after(std::chrono::milliseconds(5));
    timer.async_wait([&, do_so](const boost::system::error_code&) { while_it_runs(timer, do_so); });
  }

  TestDirectory directory_;
  testing_support::PressureFixture machine_;
  asio::io_context loop_{1};
  Kept kept_;
  guard::EvaluationPerformanceManager guard_;
  eval::EvaluationManager evaluations_;
  std::vector<std::byte> bytes_;
};

TEST_F(EvaluationManagerTest, AllThreeEntriesGoDownTheOneRoadToTheSameGames) {
  const fs::path file = directory_.path() / "net.safetensors";
  ASSERT_TRUE(write_file_atomically(file, bytes_));
  auto sealed = net::Snapshot::seal(bytes_);
  auto announced = net::Snapshot::seal(bytes_);
  ASSERT_TRUE(sealed && announced);

  ended(evaluations_.evaluate_checkpoint(file));
  ended(evaluations_.evaluate_current_agent(std::move(*sealed)));
  ended(evaluations_.evaluate_notice(
      {.record = {.step = 640, .sequence = 1, .seal_ms = 0},
       .snapshot = UniqueFd(::fcntl(announced->fd(), F_DUPFD_CLOEXEC, 0))}));

  using telemetry::EvaluationEntry;
  const std::vector<EvaluationEntry> entries{
      EvaluationEntry::Checkpoint, EvaluationEntry::CurrentAgent, EvaluationEntry::Notice};
  ASSERT_EQ(kept_.records.size(), entries.size());
  const std::string games =
      read_file(directory_.path() / "games" / (kept_.records[0].id + ".usi")).value();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const telemetry::EvaluationRecord& record = kept_.records[i];
    EXPECT_EQ(record.entry, entries[i]);
    EXPECT_EQ(record.outcome, "Finished") << record.cause;
    EXPECT_EQ(record.step, 640);
    EXPECT_NE(record.tier.find("memory"), std::string::npos);  // of the guard: it was on its road
    EXPECT_EQ(read_file(directory_.path() / "games" / (record.id + ".usi")).value(), games);
  }
  EXPECT_EQ(evaluations_.active(), 0);
}

TEST_F(EvaluationManagerTest, ACancelledEvaluationSaysSoAndLeavesNothing) {
  auto sealed = net::Snapshot::seal(bytes_);
  ASSERT_TRUE(sealed);
  const auto record = ended(evaluations_.evaluate_current_agent(std::move(*sealed)), [this] {
    evaluations_.cancel_all(guard::Outcome::TrainerLost, "the learner is gone");
  });
  EXPECT_EQ(record.outcome, "TrainerLost");
  EXPECT_EQ(record.cause, "the learner is gone");
  EXPECT_FALSE(record.score.has_value());
  EXPECT_EQ(guard_.running(), 0);
}

/// Adversary 14 as the run keeps it: what a reader of the run's database sees.
TEST_F(EvaluationManagerTest, ALostTrainerIsInTheRunsDatabase) {
  const fs::path file = directory_.path() / "run.db";
  auto database = store::RunStore::open(file);
  ASSERT_TRUE(database) << database.error().message;
  eval::EvaluationManager evaluations(guard_, *database,
                                      {.opponents = {{match::PlayerKind::Random, {}}},
                                       .games = 100'000,
                                       .max_plies = 40,
                                       .worker = fs::path(KEISEI_BIN) / "keisei-worker",
                                       .run_directory = directory_.path()});
  asio::steady_timer timer(loop_);
  const auto record = ended(evaluations.evaluate_current_agent(*net::Snapshot::seal(bytes_)), [&] {
    while_it_runs(timer, [&evaluations] {
      evaluations.cancel_all(guard::Outcome::TrainerLost, "the learner is gone");
    });
  });
  const auto kept = store::RunStore::open_read_only(file)->evaluations();
  ASSERT_TRUE(kept) << kept.error().message;
  ASSERT_EQ(kept->size(), 1U);
  EXPECT_EQ(kept->front().id, record.id);
  EXPECT_EQ(kept->front().outcome, "TrainerLost");
  EXPECT_EQ(kept->front().cause, "the learner is gone");
  EXPECT_EQ(kept->front().sla.at("evaluation_latency_ms").verdict, telemetry::Verdict::NotMeasured);
  EXPECT_EQ(guard_.running(), 0);
}

/// An awaited coroutine that is cancelled throws, as a library does that finds no memory.
TEST_F(EvaluationManagerTest, AnEvaluationThatEndsInAnExceptionIsNotCountedAnyMore) {
  auto sealed = net::Snapshot::seal(bytes_);
  ASSERT_TRUE(sealed);
  asio::cancellation_signal abandon;
  std::exception_ptr thrown;
  asio::co_spawn(loop_, evaluations_.evaluate_current_agent(std::move(*sealed)),
                 asio::bind_cancellation_slot(
                     abandon.slot(), [&thrown](const std::exception_ptr& error,
                                               const Evaluated& /*record*/) { thrown = error; }));
  asio::post(loop_, [&] {
    EXPECT_EQ(evaluations_.active(), 1);
    abandon.emit(asio::cancellation_type::terminal);
  });
  loop_.run();
  EXPECT_TRUE(thrown);
  EXPECT_EQ(evaluations_.active(), 0);
  EXPECT_EQ(guard_.running(), 0);
}

class AnEvaluationThatIsTooLong : public EvaluationManagerTest {
 protected:
  AnEvaluationThatIsTooLong()
      : EvaluationManagerTest({.timeout = std::chrono::seconds(20)}, 100'000) {}
};

TEST_F(AnEvaluationThatIsTooLong, ReturnsTheGamesItFinishedAsPartial) {
  auto sealed = net::Snapshot::seal(bytes_);
  ASSERT_TRUE(sealed);
  const auto record = ended(evaluations_.evaluate_current_agent(std::move(*sealed)));
  EXPECT_EQ(record.outcome, "Partial") << record.cause;
  EXPECT_NE(record.cause.find("its time neared its limit of 20 s"), std::string::npos)
      << record.cause;
  EXPECT_TRUE(record.partial);
  ASSERT_EQ(record.opponents.size(), 1U);
  EXPECT_GT(record.opponents[0].games, 0);
  EXPECT_LT(record.opponents[0].games, 100'000);
  ASSERT_TRUE(record.score.has_value());
  EXPECT_LE(record.score->low, record.score->value);
  EXPECT_LT(record.latency_ms, 20'000);
}

/// Whoever ends it: what was played is kept, counts, and is called partial beside the outcome.
TEST_F(AnEvaluationThatIsTooLong, KeepsTheGamesItFinishedHoweverItIsCutShort) {
  for (const auto outcome :
       {guard::Outcome::TrainerLost, guard::Outcome::ImpactExceeded, guard::Outcome::Cancelled}) {
    telemetry::EvaluationRecord record;
    // On a busy machine it has not played anything so soon.
    for (auto after = std::chrono::seconds(1); !record.score && after.count() < 10; after *= 2) {
      asio::steady_timer start(loop_);
      asio::steady_timer end(loop_);
      record = ended(evaluations_.evaluate_current_agent(*net::Snapshot::seal(bytes_)), [&] {
        while_it_runs(start, [&] {
          end.expires_after(after);
          end.async_wait([&](const boost::system::error_code&) {
            evaluations_.cancel_all(outcome, "it was enough");
          });
        });
      });
    }
    EXPECT_EQ(record.outcome, guard::to_string(outcome));
    EXPECT_EQ(record.cause, "it was enough");
    EXPECT_TRUE(record.partial) << record.outcome;
    ASSERT_EQ(record.opponents.size(), 1U) << record.outcome;
    EXPECT_GT(record.opponents[0].games, 0);
    EXPECT_LT(record.opponents[0].games, 100'000);
    ASSERT_TRUE(record.score.has_value()) << record.outcome;
    EXPECT_LE(record.score->low, record.score->value);
    EXPECT_GE(record.score->high, record.score->value);
    EXPECT_TRUE(fs::exists(directory_.path() / "games" / (record.id + ".usi"))) << record.outcome;
  }
}

TEST_F(EvaluationManagerTest, UnderPressurePlaysFewerGamesOnOneThreadAndSaysWhy) {
  eval::EvaluationManager evaluations(guard_, kept_,
                                      {.opponents = {{match::PlayerKind::Random, {}}},
                                       .games = 16,
                                       .max_plies = 40,
                                       .threads = 2,
                                       .worker = fs::path(KEISEI_BIN) / "keisei-worker",
                                       .run_directory = directory_.path()});
  machine_.waiting_for_memory(12);
  const auto record = ended(evaluations.evaluate_current_agent(*net::Snapshot::seal(bytes_)));
  EXPECT_EQ(record.outcome, "Finished") << record.cause;
  EXPECT_FALSE(record.partial);
  EXPECT_EQ(record.games_asked, 16);
  ASSERT_EQ(record.opponents.size(), 1U);
  EXPECT_EQ(record.opponents[0].games, 4);
  ASSERT_EQ(record.degradation.size(), 1U);
  EXPECT_EQ(record.degradation[0].level, "one_thread");
  EXPECT_NE(record.degradation[0].cause.find("wait for memory: 12.0"), std::string::npos);
  const std::string request = read_file(directory_.path() / record.request_path).value();
  EXPECT_NE(request.find("\"games\": 4"), std::string::npos) << request;
  EXPECT_NE(request.find("\"threads\": 1"), std::string::npos) << request;
}

TEST_F(EvaluationManagerTest, ThatMustNotShrinkPlaysAllItsGamesUnderPressure) {
  eval::EvaluationManager evaluations(guard_, kept_,
                                      {.opponents = {{match::PlayerKind::Random, {}}},
                                       .games = 8,
                                       .max_plies = 40,
                                       .shrinking = eval::Shrinking::Never,
                                       .worker = fs::path(KEISEI_BIN) / "keisei-worker",
                                       .run_directory = directory_.path()});
  machine_.waiting_for_memory(12);
  const auto record = ended(evaluations.evaluate_current_agent(*net::Snapshot::seal(bytes_)));
  EXPECT_EQ(record.outcome, "Finished") << record.cause;
  ASSERT_EQ(record.opponents.size(), 1U);
  EXPECT_EQ(record.opponents[0].games, 8);
  EXPECT_TRUE(record.degradation.empty());
}

}  // namespace
}  // namespace keisei::tests
