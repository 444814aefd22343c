#include "store/run_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <fstream>

#include "base/check.h"
#include "store/schema.h"

namespace keisei::store {
namespace {

using telemetry::CheckpointRecord;
using telemetry::EvaluationRecord;
using telemetry::EventRecord;
using telemetry::UpdateRecord;
using testing::HasSubstr;

UpdateRecord update(std::int64_t number, double loss = 1.0) {
  return {.step = number * 100, .update = number, .policy_loss = loss};
}

EvaluationRecord evaluation(const char* id, int second) {
  return {.id = id,
          .step = second,
          .started = WallTime(std::chrono::seconds(second)),
          .outcome = "Finished",
          .score = telemetry::ScoreEstimate{.value = 0.75, .low = 0.5, .high = 0.9}};
}

/// Through SQLite itself, as the sqlite3 shell would.
std::string query(const std::filesystem::path& file, const std::string& sql) {
  sqlite3* database = nullptr;
  KEISEI_CHECK(sqlite3_open(file.c_str(), &database) == SQLITE_OK, "open");
  std::string text;
  const auto row = [](void* out, int columns, char** values, char**) {
    for (int i = 0; i < columns; ++i) {
      *static_cast<std::string*>(out) += std::string(values[i] ? values[i] : "null") + "|";
    }
    return 0;
  };
  const int code = sqlite3_exec(database, sql.c_str(), row, &text, nullptr);
  sqlite3_close(database);
  return code == SQLITE_OK ? text : sqlite3_errstr(code);
}

class RunStoreTest : public testing::Test {
 protected:
  RunStoreTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "storeXXXXXX").string();
    KEISEI_CHECK(::mkdtemp(pattern.data()) != nullptr, "mkdtemp");
    directory_ = pattern;
    file_ = directory_ / "run.db";
  }
  ~RunStoreTest() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path directory_;
  std::filesystem::path file_;
};

TEST_F(RunStoreTest, KeepsFramesSupervisionAfterSupervisionToTheLastDigit) {
  auto store = RunStore::open(file_).value();
  telemetry::FrameRecord frame{.supervision = 9, .number = 1, .setting = "on", .cap = 0.1 + 0.2};
  frame.ticks = {1, 2, 3, 4, 5, 6};
  ASSERT_TRUE(store.add(frame));
  frame.number = 2;
  frame.others_cpu = 1.0 / 3;
  frame.watching_cpu = 1.0 / 7;
  ASSERT_TRUE(store.add(frame));
  telemetry::FrameRecord later{.supervision = 4, .number = 1};
  ASSERT_TRUE(store.add(later));
  const auto frames = store.frames().value();
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[1], frame);
  EXPECT_EQ(frames[2], later);
}

TEST_F(RunStoreTest, GivesBackWhatWasAddedAfterReopening) {
  const CheckpointRecord checkpoint{.step = 100, .path = "checkpoints/100.safetensors"};
  const EventRecord event{.kind = "worker_killed", .message = "over memory"};
  {
    RunStore store = RunStore::open(file_).value();
    ASSERT_TRUE(store.add(update(1)).has_value());
    ASSERT_TRUE(store.add(evaluation("a", 1)).has_value());
    ASSERT_TRUE(store.add(checkpoint).has_value());
    ASSERT_TRUE(store.add(event).has_value());
  }
  const RunStore store = RunStore::open_read_only(file_).value();
  EXPECT_EQ(store.last_update().value()->update, 1);
  EXPECT_EQ(store.last_evaluation().value(), evaluation("a", 1));
  EXPECT_THAT(store.checkpoints().value(), testing::ElementsAre(checkpoint));
  EXPECT_THAT(store.events().value(), testing::ElementsAre(event));
}

TEST_F(RunStoreTest, AnEmptyRunHasNothingToTell) {
  const RunStore store = RunStore::open(file_).value();
  EXPECT_FALSE(store.last_evaluation().value().has_value());
  EXPECT_FALSE(store.last_update().value().has_value());
  EXPECT_TRUE(store.updates_since(-1).value().empty());
}

TEST_F(RunStoreTest, OrdersEvaluationsByTimeAndUpdatesByStep) {
  RunStore store = RunStore::open(file_).value();
  ASSERT_TRUE(store.add(evaluation("late", 20)).has_value());
  ASSERT_TRUE(store.add(evaluation("soon", 10)).has_value());
  ASSERT_TRUE(store.add(update(2)).has_value());
  ASSERT_TRUE(store.add(update(1)).has_value());
  ASSERT_TRUE(store.add(update(3)).has_value());
  EXPECT_EQ(store.evaluations().value().front().id, "soon");
  EXPECT_EQ(store.last_evaluation().value()->id, "late");
  const auto since = store.updates_since(100).value();
  ASSERT_EQ(since.size(), 2u);
  EXPECT_EQ(since.front().update, 2);
  EXPECT_EQ(store.last_update().value()->update, 3);
}

TEST_F(RunStoreTest, AResumedRunReplacesTheUpdatesItRepeats) {
  RunStore store = RunStore::open(file_).value();
  ASSERT_TRUE(store.add(update(1, 1.0)).has_value());
  ASSERT_TRUE(store.add(update(1, 2.0)).has_value());
  const auto updates = store.updates_since(-1).value();
  ASSERT_EQ(updates.size(), 1u);
  EXPECT_EQ(updates.front().policy_loss, 2.0);
}

TEST_F(RunStoreTest, KeepsALossThatIsNotANumber) {
  RunStore store = RunStore::open(file_).value();
  ASSERT_TRUE(store.add(update(1, std::nan(""))).has_value());
  EXPECT_TRUE(std::isnan(store.last_update().value()->policy_loss));
}

TEST_F(RunStoreTest, ReadsLikeATableInTheSqliteShell) {
  {
    RunStore store = RunStore::open(file_).value();
    ASSERT_TRUE(store.add(evaluation("a", 7)).has_value());
    ASSERT_TRUE(store.add(update(3, 0.5)).has_value());
  }
  EXPECT_EQ(query(file_, "select step, outcome, score, score_low, elo from evaluations"),
            "7|Finished|0.75|0.5|null|");
  EXPECT_EQ(query(file_, "select number, step, policy_loss from updates"), "3|300|0.5|");
  EXPECT_EQ(query(file_, "pragma journal_mode"), "wal|");
}

TEST_F(RunStoreTest, OthersReadWhileOneWrites) {
  RunStore writer = RunStore::open(file_).value();
  const RunStore reader = RunStore::open_read_only(file_).value();
  ASSERT_TRUE(writer.add(update(1)).has_value());
  EXPECT_EQ(reader.last_update().value()->update, 1);
}

TEST_F(RunStoreTest, RefusesTheSchemaOfANewerVersionAndLeavesItAsItIs) {
  query(file_, "create table later (x); pragma user_version = 99");
  EXPECT_THAT(RunStore::open(file_).error().message, HasSubstr("newer keisei (schema 99"));
  EXPECT_THAT(RunStore::open_read_only(file_).error().message, HasSubstr("newer keisei"));
  EXPECT_EQ(query(file_, "pragma user_version"), "99|");
}

TEST_F(RunStoreTest, RefusesTheDatabaseOfAnotherProgram) {
  query(file_, "create table theirs (x)");
  EXPECT_THAT(RunStore::open(file_).error().message, HasSubstr("another program"));
  EXPECT_THAT(RunStore::open_read_only(file_).error().message, HasSubstr("not a run store"));
}

TEST_F(RunStoreTest, SaysThatAFileIsDamaged) {
  std::ofstream(file_) << std::string(8192, 'x');
  EXPECT_THAT(RunStore::open(file_).error().message, HasSubstr("damaged"));
  EXPECT_THAT(RunStore::open_read_only(file_).error().message, HasSubstr("damaged"));
}

TEST_F(RunStoreTest, SaysThatPagesInTheMiddleAreDamaged) {
  {
    RunStore store = RunStore::open(file_).value();
    for (int i = 1; i <= 200; ++i) {
      ASSERT_TRUE(store.add(update(i)).has_value());
    }
  }
  std::fstream bytes(file_, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekp(4096);
  bytes << std::string(static_cast<std::size_t>(std::filesystem::file_size(file_)) - 4096, '\xff');
  bytes.close();
  const auto updates = RunStore::open_read_only(file_).and_then(
      [](const RunStore& store) { return store.updates_since(-1); });
  ASSERT_FALSE(updates.has_value());
  EXPECT_THAT(updates.error().message, HasSubstr("damaged"));
}

TEST_F(RunStoreTest, SaysThatARecordIsDamaged) {
  { RunStore store = RunStore::open(file_).value(); }
  query(file_, "insert into updates (number, record) values (1, '{\"step\": 5}')");
  EXPECT_THAT(RunStore::open_read_only(file_).value().updates_since(-1).error().message,
              HasSubstr("field «update» is missing"));
}

TEST_F(RunStoreTest, ReadingNeverMakesAFile) {
  EXPECT_THAT(RunStore::open_read_only(file_).error().message, HasSubstr("no run store"));
  EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(RunStoreTest, SaysWhereItCannotMakeAFile) {
  EXPECT_THAT(RunStore::open(directory_ / "none" / "run.db").error().message,
              HasSubstr("check that the directory exists"));
}

TEST_F(RunStoreTest, AWriteThatHitsTheFileSizeLimitFailsAndLosesNothing) {
  RunStore store = RunStore::open(file_).value();
  ASSERT_TRUE(store.add(update(1)).has_value());
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{.rlim_cur = 128 * 1024, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  Result<void> added;
  std::int64_t stored = 1;
  while ((added = store.add(update(stored + 1))) && stored < 10'000) {
    ++stored;
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  ASSERT_FALSE(added.has_value());
  EXPECT_THAT(added.error().message, HasSubstr("limit on file sizes"));
  EXPECT_TRUE(store.add(update(stored + 1)).has_value());
  EXPECT_EQ(std::ssize(store.updates_since(-1).value()), stored + 1);
}

/// A file system of 256 kB in a mount namespace that ends with this process.
class SmallDisk : public RunStoreTest {
 protected:
  void SetUp() override {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", directory_.c_str(), "tmpfs", 0, "size=256k") != 0) {
      GTEST_SKIP() << "mounting needs root";
    }
    mounted_ = true;
  }
  void TearDown() override {
    if (mounted_) {
      ::umount2(directory_.c_str(), MNT_DETACH);
    }
  }
  bool mounted_ = false;
};

TEST_F(SmallDisk, AFullDiskIsAnErrorThatLosesNothingAndPasses) {
  std::ofstream(directory_ / "filler") << std::string(100'000, 'x');
  RunStore store = RunStore::open(file_).value();
  Result<void> added;
  std::int64_t stored = 0;
  while ((added = store.add(update(stored + 1))) && stored < 10'000) {
    ++stored;
  }
  ASSERT_FALSE(added.has_value());
  EXPECT_THAT(added.error().message, HasSubstr("the disk is full"));
  std::filesystem::remove(directory_ / "filler");
  EXPECT_TRUE(store.add(update(stored + 1)).has_value());
  EXPECT_EQ(std::ssize(store.updates_since(-1).value()), stored + 1);
}

TEST_F(SmallDisk, AnArchivedRunOnAReadOnlyDiskCanBeRead) {
  { ASSERT_TRUE(RunStore::open(file_).value().add(update(1)).has_value()); }
  ASSERT_EQ(::mount(nullptr, directory_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  EXPECT_EQ(RunStore::open_read_only(file_).value().last_update().value()->update, 1);
}

}  // namespace
}  // namespace keisei::store
