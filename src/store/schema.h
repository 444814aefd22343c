#pragma once

#include <span>
#include <string_view>

// The tables of run.db. Each row keeps its record as the JSON that telemetry/records.h writes; the
// other columns are computed from it, so that the two cannot disagree and that
//
//   sqlite3 run.db 'select step, score, outcome from evaluations'
//
// reads like a table. PRAGMA user_version is the number of migrations that were applied.
namespace keisei::store {

/// Step i brings version i to version i + 1, in one transaction. Append only: a released step never
/// changes.
[[nodiscard]] std::span<const std::string_view> migrations();

}  // namespace keisei::store
