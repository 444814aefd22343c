#include "store/schema.h"

#include <array>

namespace keisei::store {
namespace {

constexpr std::array<std::string_view, 2> kMigrations = {R"sql(
CREATE TABLE updates (
  number INTEGER PRIMARY KEY,
  record TEXT NOT NULL CHECK (json_valid(record)),
  wall TEXT AS (json_extract(record, '$.wall')),
  step INTEGER AS (json_extract(record, '$.step')),
  games INTEGER AS (json_extract(record, '$.games')),
  policy_loss REAL AS (json_extract(record, '$.policy_loss')),
  value_loss REAL AS (json_extract(record, '$.value_loss')),
  entropy REAL AS (json_extract(record, '$.entropy')),
  approx_kl REAL AS (json_extract(record, '$.approx_kl')),
  steps_per_second REAL AS (json_extract(record, '$.steps_per_second'))
);
CREATE INDEX updates_by_step ON updates (step);

CREATE TABLE evaluations (
  id TEXT PRIMARY KEY,
  record TEXT NOT NULL CHECK (json_valid(record)),
  started TEXT AS (json_extract(record, '$.started')),
  step INTEGER AS (json_extract(record, '$.step')),
  outcome TEXT AS (json_extract(record, '$.outcome')),
  cause TEXT AS (json_extract(record, '$.cause')),
  score REAL AS (json_extract(record, '$.score.value')),
  score_low REAL AS (json_extract(record, '$.score.low')),
  score_high REAL AS (json_extract(record, '$.score.high')),
  elo REAL AS (json_extract(record, '$.elo.value')),
  latency_ms REAL AS (json_extract(record, '$.latency_ms')),
  peak_memory_bytes INTEGER AS (json_extract(record, '$.peak_memory_bytes')),
  cpu_seconds REAL AS (json_extract(record, '$.cpu_seconds'))
);
CREATE INDEX evaluations_by_time ON evaluations (started, id);

CREATE TABLE checkpoints (
  number INTEGER PRIMARY KEY,
  record TEXT NOT NULL CHECK (json_valid(record)),
  step INTEGER AS (json_extract(record, '$.step')),
  path TEXT AS (json_extract(record, '$.path')),
  error TEXT AS (json_extract(record, '$.error'))
);

CREATE TABLE events (
  number INTEGER PRIMARY KEY,
  record TEXT NOT NULL CHECK (json_valid(record)),
  wall TEXT AS (json_extract(record, '$.wall')),
  level TEXT AS (json_extract(record, '$.level')),
  kind TEXT AS (json_extract(record, '$.kind')),
  message TEXT AS (json_extract(record, '$.message'))
);
)sql",
                                                         R"sql(
CREATE TABLE frames (
  supervision INTEGER NOT NULL,
  number INTEGER NOT NULL,
  record TEXT NOT NULL CHECK (json_valid(record)),
  setting TEXT AS (json_extract(record, '$.setting')),
  running INTEGER AS (json_extract(record, '$.running')),
  block INTEGER AS (json_extract(record, '$.block')),
  discarded TEXT AS (json_extract(record, '$.discarded')),
  PRIMARY KEY (supervision, number)
);
)sql"};

}  // namespace

std::span<const std::string_view> migrations() { return kMigrations; }

}  // namespace keisei::store
