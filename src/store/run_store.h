#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "telemetry/records.h"
#include "telemetry/sink.h"

namespace keisei::store {

/// The records of a run in one SQLite file (RUN/run.db, WAL; the tables are in schema.h and are
/// meant to be read with the sqlite3 shell too).
///
///   RecordSink::add ──> run.db ──> queries of report, page and progress line
///
/// One thread per RunStore; any number of processes may read while one writes. Calls block on the
/// disk (a write is one short transaction) and at most five seconds on another writer. Every error
/// names the file, what SQLite said and what to do: free space, another process, a damaged file, a
/// newer keisei. After an error the store is as it was before the call, and may be used again.
class RunStore final : public telemetry::RecordSink {
 public:
  /// Opens for writing; creates the file and brings an older schema up to date.
  [[nodiscard]] static Result<RunStore> open(const std::filesystem::path& path);
  /// Opens what is there and changes nothing. Fails when there is no such file.
  [[nodiscard]] static Result<RunStore> open_read_only(const std::filesystem::path& path);

  RunStore(RunStore&&) noexcept;
  RunStore& operator=(RunStore&&) noexcept;
  ~RunStore() override;

  /// An update replaces the one of the same number and an evaluation the one of the same id: a run
  /// resumed from a checkpoint repeats the last updates.
  [[nodiscard]] Result<void> add(const telemetry::Record& record) override;

  /// All in the order of time.
  [[nodiscard]] Result<std::vector<telemetry::EvaluationRecord>> evaluations() const;
  [[nodiscard]] Result<std::optional<telemetry::EvaluationRecord>> last_evaluation() const;
  /// Those with a step greater than `step`, by step; -1 for all.
  [[nodiscard]] Result<std::vector<telemetry::UpdateRecord>> updates_since(std::int64_t step) const;
  [[nodiscard]] Result<std::optional<telemetry::UpdateRecord>> last_update() const;
  [[nodiscard]] Result<std::vector<telemetry::CheckpointRecord>> checkpoints() const;
  [[nodiscard]] Result<std::vector<telemetry::EventRecord>> events() const;
  /// Supervision after supervision, by number.
  [[nodiscard]] Result<std::vector<telemetry::FrameRecord>> frames() const;

 private:
  class Impl;
  explicit RunStore(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace keisei::store
