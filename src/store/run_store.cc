#include "store/run_store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <SQLiteCpp/VariadicBind.h>
#include <sqlite3.h>

#include <string>
#include <string_view>
#include <utility>

#include "store/schema.h"

namespace keisei::store {
namespace {

using telemetry::CheckpointRecord;
using telemetry::EvaluationRecord;
using telemetry::EventRecord;
using telemetry::FrameRecord;
using telemetry::UpdateRecord;

constexpr int kBusyMs = 5000;

/// What a person can do about a code of SQLite.
std::string_view advice(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return "the disk is full: free some space; nothing that was stored is lost";
    case SQLITE_IOERR:
      return "the disk failed, or a limit on file sizes was reached";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return "the file is damaged or is not a run store: move it away (a new one is made; "
             "checkpoints are not in it)";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "another process is writing to it: end that process, or use another run directory";
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      return "check that the directory exists and that you may write there";
    default:
      return "";
  }
}

tl::unexpected<Error> failed(const std::string& file, const SQLite::Exception& error) {
  const std::string_view what = advice(error.getErrorCode());
  return fail("run store {}: {}{}{}", file, error.what(), what.empty() ? "" : "; ", what);
}

/// Runs `body` and turns what SQLiteCpp throws into an Error.
template <typename Body>
auto guarded(const std::string& file, const Body& body) -> decltype(body()) {
  try {
    return body();
  } catch (const SQLite::Exception& error) {
    return failed(file, error);
  }
}

int stored_version(SQLite::Database& database) {
  return database.execAndGet("PRAGMA user_version").getInt();
}

Result<void> refuse_newer(const std::string& file, int version) {
  if (std::cmp_greater(version, migrations().size())) {
    return fail(
        "run store {} was written by a newer keisei (schema {}, this one knows {}): use that one",
        file, version, migrations().size());
  }
  return {};
}

Result<void> migrate(SQLite::Database& database, const std::string& file) {
  // The transaction takes the write lock at once: two processes cannot both apply a step.
  SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
  const int version = stored_version(database);
  KEISEI_TRY_VOID(refuse_newer(file, version));
  if (version == 0 && database.execAndGet("SELECT count(*) FROM sqlite_master").getInt() > 0) {
    return fail("{} is a database of another program: use another run directory", file);
  }
  for (std::size_t i = static_cast<std::size_t>(version); i < migrations().size(); ++i) {
    database.exec(std::string(migrations()[i]));
  }
  database.exec(fmt::format("PRAGMA user_version = {}", migrations().size()));
  transaction.commit();
  return {};
}

std::string as_immutable_uri(const std::filesystem::path& path) {
  std::string uri = "file:";
  for (const char c : std::filesystem::absolute(path).string()) {
    const bool special = c == '%' || c == '?' || c == '#';
    uri += special ? fmt::format("%{:02X}", static_cast<unsigned char>(c)) : std::string(1, c);
  }
  return uri + "?immutable=1";
}

/// In a directory that nobody can write to, SQLite cannot make the shared memory of the log; if
/// there is no log either, the file is whole and cannot change.
std::unique_ptr<SQLite::Database> open_to_read(const std::filesystem::path& path) {
  try {
    auto database =
        std::make_unique<SQLite::Database>(path.string(), SQLite::OPEN_READONLY, kBusyMs);
    stored_version(*database);
    return database;
  } catch (const SQLite::Exception& error) {
    const int code = error.getErrorCode();
    if ((code != SQLITE_CANTOPEN && code != SQLITE_READONLY) ||
        std::filesystem::exists(path.string() + "-wal")) {
      throw;
    }
    return std::make_unique<SQLite::Database>(as_immutable_uri(path),
                                              SQLite::OPEN_READONLY | SQLite::OPEN_URI, kBusyMs);
  }
}

}  // namespace

class RunStore::Impl {
 public:
  Impl(std::unique_ptr<SQLite::Database> database, std::string file)
      : database_(std::move(database)), file_(std::move(file)) {}

  Result<void> add(const UpdateRecord& record) {
    return write(
        "INSERT INTO updates (record, number) VALUES (?1, ?2) "
        "ON CONFLICT (number) DO UPDATE SET record = excluded.record",
        telemetry::to_json(record), record.update);
  }
  Result<void> add(const EvaluationRecord& record) {
    return write(
        "INSERT INTO evaluations (record, id) VALUES (?1, ?2) "
        "ON CONFLICT (id) DO UPDATE SET record = excluded.record",
        telemetry::to_json(record), record.id);
  }
  Result<void> add(const CheckpointRecord& record) {
    return write("INSERT INTO checkpoints (record) VALUES (?1)", telemetry::to_json(record));
  }
  Result<void> add(const EventRecord& record) {
    return write("INSERT INTO events (record) VALUES (?1)", telemetry::to_json(record));
  }
  Result<void> add(const FrameRecord& record) {
    return write("INSERT INTO frames (record, supervision, number) VALUES (?1, ?2, ?3)",
                 telemetry::to_json(record), record.supervision, record.number);
  }

  /// The records that `sql` selects as its only column.
  template <typename Record, typename... Bound>
  Result<std::vector<Record>> read(const char* sql, Result<Record> (*parse)(std::string_view),
                                   const Bound&... bound) const {
    return guarded(file_, [&]() -> Result<std::vector<Record>> {
      SQLite::Statement statement(*database_, sql);
      SQLite::bind(statement, bound...);
      std::vector<Record> records;
      while (statement.executeStep()) {
        auto record = parse(statement.getColumn(0).getString());
        if (!record) {
          return with_context(std::move(record).error(), fmt::format("run store {}", file_));
        }
        records.push_back(*std::move(record));
      }
      return records;
    });
  }

 private:
  template <typename... Bound>
  Result<void> write(const char* sql, const Bound&... bound) {
    return guarded(file_, [&]() -> Result<void> {
      SQLite::Statement statement(*database_, sql);
      SQLite::bind(statement, bound...);
      statement.exec();
      return {};
    });
  }

  std::unique_ptr<SQLite::Database> database_;
  std::string file_;  // for messages
};

namespace {

template <typename Record>
Result<std::optional<Record>> only_one(Result<std::vector<Record>> records) {
  return std::move(records).map([](std::vector<Record> found) {
    return found.empty() ? std::nullopt : std::optional<Record>(std::move(found.front()));
  });
}

}  // namespace

RunStore::RunStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RunStore::RunStore(RunStore&&) noexcept = default;
RunStore& RunStore::operator=(RunStore&&) noexcept = default;
RunStore::~RunStore() = default;

Result<RunStore> RunStore::open(const std::filesystem::path& path) {
  const std::string file = path.string();
  return guarded(file, [&]() -> Result<RunStore> {
    auto database = std::make_unique<SQLite::Database>(
        file, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyMs);
    KEISEI_TRY_VOID(refuse_newer(file, stored_version(*database)));
    database->exec("PRAGMA journal_mode = WAL");
    database->exec("PRAGMA synchronous = NORMAL");
    KEISEI_TRY_VOID(migrate(*database, file));
    return RunStore(std::make_unique<Impl>(std::move(database), file));
  });
}

Result<RunStore> RunStore::open_read_only(const std::filesystem::path& path) {
  const std::string file = path.string();
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return fail("there is no run store {}: is this a run directory of keisei train?", file);
  }
  return guarded(file, [&]() -> Result<RunStore> {
    auto database = open_to_read(path);
    const int version = stored_version(*database);
    KEISEI_TRY_VOID(refuse_newer(file, version));
    if (version == 0) {
      return fail("{} is not a run store of keisei", file);
    }
    if (std::cmp_less(version, migrations().size())) {
      return fail(
          "run store {} was written by an older keisei (schema {}): keisei train --resume "
          "brings it up to date",
          file, version);
    }
    return RunStore(std::make_unique<Impl>(std::move(database), file));
  });
}

Result<void> RunStore::add(const telemetry::Record& record) {
  return std::visit([&](const auto& value) { return impl_->add(value); }, record);
}

Result<std::vector<EvaluationRecord>> RunStore::evaluations() const {
  return impl_->read("SELECT record FROM evaluations ORDER BY started, id",
                     &telemetry::parse_evaluation);
}

Result<std::optional<EvaluationRecord>> RunStore::last_evaluation() const {
  return only_one(
      impl_->read("SELECT record FROM evaluations ORDER BY started DESC, id DESC LIMIT 1",
                  &telemetry::parse_evaluation));
}

Result<std::vector<UpdateRecord>> RunStore::updates_since(std::int64_t step) const {
  return impl_->read("SELECT record FROM updates WHERE step > ?1 ORDER BY step, number",
                     &telemetry::parse_update, step);
}

Result<std::optional<UpdateRecord>> RunStore::last_update() const {
  return only_one(impl_->read("SELECT record FROM updates ORDER BY step DESC, number DESC LIMIT 1",
                              &telemetry::parse_update));
}

Result<std::vector<CheckpointRecord>> RunStore::checkpoints() const {
  return impl_->read("SELECT record FROM checkpoints ORDER BY number",
                     &telemetry::parse_checkpoint);
}

Result<std::vector<EventRecord>> RunStore::events() const {
  return impl_->read("SELECT record FROM events ORDER BY number", &telemetry::parse_event);
}

Result<std::vector<FrameRecord>> RunStore::frames() const {
  // A supervision's first frame is as old as its row.
  return impl_->read(
      "SELECT f.record FROM frames f JOIN (SELECT supervision, min(rowid) AS first FROM frames "
      "GROUP BY supervision) s ON s.supervision = f.supervision ORDER BY s.first, f.number",
      &telemetry::parse_frame);
}

}  // namespace keisei::store
