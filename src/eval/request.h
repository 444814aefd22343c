#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "match/player.h"

namespace keisei::eval {

// Where the worker finds what it inherits.
inline constexpr int kRequestFd = 10;        // the request, JSON, read-only
inline constexpr int kReportFd = 11;         // where it writes the report (eval/wire.h)
inline constexpr int kFirstSnapshotFd = 12;  // the candidate's weights; then the opponents'

/// One opponent as the worker sees it: no path, only what it inherited.
struct OpponentRequest {
  std::string name;  // as it stands in the report
  match::PlayerKind kind = match::PlayerKind::Random;
  int snapshot_fd = -1;  // of a Checkpoint; else -1

  friend bool operator==(const OpponentRequest&, const OpponentRequest&) = default;
};

/// Everything that decides an evaluation's games, but for the weights themselves.
struct EvaluationRequest {
  std::string id;
  std::int64_t step = 0;  // of the candidate
  int candidate_fd = kFirstSnapshotFd;
  std::vector<OpponentRequest> opponents;  // at least one
  int games = 20;                          // against each opponent, 1..100000
  int opening_plies = 4;                   // random plies that both games of a pair begin with
  int max_plies = 512;                     // ply cap, above opening_plies, at most 32767
  int threads = 1;                         // of the network, 1..64
  std::uint64_t seed = 0;

  friend bool operator==(const EvaluationRequest&, const EvaluationRequest&) = default;
};

[[nodiscard]] std::string to_json(const EvaluationRequest& request);

/// Fails on anything that is not a request of this version, with each number in its range.
[[nodiscard]] Result<EvaluationRequest> parse_request(std::string_view json);

}  // namespace keisei::eval
