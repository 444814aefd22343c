#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

// What is told about a run: plain values, and their JSON. Wall times have milliseconds.
//
// In JSON a double that is not finite is null and comes back as NaN; an absent optional is null.
// Parsing fails (Runtime) on what is not JSON, on a missing field and on a field of the wrong type,
// and names it; fields it does not know are ignored, so that a newer writer can be read. A field
// that an older writer did not have may be missing.
namespace keisei::telemetry {

enum class LogLevel { Debug, Info, Warning, Error };

/// Of one service-level metric. NotMeasured is never a pass and never a failure. For training
/// impact: Met is «within», Violated is «exceeded», NotMeasured is «unproven».
enum class Verdict { Met, Violated, NotMeasured };

/// Which entry an evaluation came through.
enum class EvaluationEntry { Checkpoint, CurrentAgent, Notice };

/// The learner's first message on every connection.
struct HelloRecord {
  int pid = 0;
  std::int64_t step = 0;
  std::string net{};  // as in «b2c32»

  friend bool operator==(const HelloRecord&, const HelloRecord&) = default;
};

/// One PPO update.
struct UpdateRecord {
  std::int64_t step = 0;    // plies trained so far
  std::int64_t update = 0;  // counted from 1
  std::int64_t games = 0;   // games ended so far
  double policy_loss = 0;
  double value_loss = 0;  // nats, cross-entropy of win/draw/loss
  double entropy = 0;     // nats, over legal moves
  double approx_kl = 0;
  double clip_fraction = 0;       // 0..1
  double explained_variance = 0;  // at most 1
  double gradient_norm = 0;       // before clipping
  double learning_rate = 0;
  double steps_per_second = 0;  // of this rollout and update together
  double mean_game_plies = 0;   // of the games that ended in this rollout; NaN where none did
  double rollout_seconds = 0;
  double update_seconds = 0;
  std::int64_t snapshots_skipped =
      0;  // so far: notices that found the channel full or nobody there
  WallTime wall{};
};

/// A checkpoint that was saved, or could not be.
struct CheckpointRecord {
  std::int64_t step = 0;
  std::string path{};
  double seconds = 0;
  std::string error{};  // empty when saved

  friend bool operator==(const CheckpointRecord&, const CheckpointRecord&) = default;
};

/// Goes with one file descriptor: the sealed weights at `step`.
struct SnapshotNotice {
  std::int64_t step = 0;
  std::uint64_t sequence = 0;  // of this learner, counted from 1
  double seal_ms = 0;          // what writing and sealing the snapshot cost the training thread

  friend bool operator==(const SnapshotNotice&, const SnapshotNotice&) = default;
};

/// The learner's last message.
struct FinishedRecord {
  std::int64_t step = 0;
  std::string reason{};  // «all steps done», «stopped», or the error

  friend bool operator==(const FinishedRecord&, const FinishedRecord&) = default;
};

/// The games against one opponent, seen from the evaluated agent.
struct OpponentResult {
  std::string name{};
  std::int64_t games = 0;
  std::int64_t wins = 0;
  std::int64_t draws = 0;
  std::int64_t losses = 0;
  double mean_plies = 0;
  std::map<std::string, std::int64_t> terminations{};  // how the games ended -> games

  friend bool operator==(const OpponentResult&, const OpponentResult&) = default;
};

/// A mean score in [0, 1] with its 95 % interval.
struct ScoreEstimate {
  double value = 0;
  double low = 0;
  double high = 0;

  friend bool operator==(const ScoreEstimate&, const ScoreEstimate&) = default;
};

/// An Elo difference with its 95 % interval; absent where it is infinite (that score is 0 or 1).
struct EloEstimate {
  std::optional<double> value{};
  std::optional<double> low{};
  std::optional<double> high{};

  friend bool operator==(const EloEstimate&, const EloEstimate&) = default;
};

struct MetricVerdict {
  std::optional<double> value{};  // absent when not measured
  double limit = 0;               // in the unit of the metric's name
  Verdict verdict = Verdict::NotMeasured;

  friend bool operator==(const MetricVerdict&, const MetricVerdict&) = default;
};

/// A level of service that an evaluation was put on before it started, and why.
struct DegradationRecord {
  std::string level{};  // «full» (again), «fewer_games», «one_thread», «deferred», «rejected»
  std::string cause{};
  double waited_ms = 0;

  friend bool operator==(const DegradationRecord&, const DegradationRecord&) = default;
};

/// One evaluation from admission to its end, whatever the end was.
struct EvaluationRecord {
  std::string id{};  // unique in the run
  std::int64_t step = 0;
  EvaluationEntry entry = EvaluationEntry::Notice;
  WallTime started{};
  std::string outcome{};  // of the closed list in docs/architecture.md
  std::string cause{};    // metric, value and limit, or the error; empty for Finished
  std::vector<OpponentResult> opponents{};
  std::optional<ScoreEstimate> score{};          // over all opponents; absent when no game ended
  std::optional<EloEstimate> elo{};              // absent when no game ended
  bool partial = false;                          // cut short before its last game
  std::int64_t games_asked = 0;                  // over all opponents; a degraded one plays fewer
  std::vector<DegradationRecord> degradation{};  // empty: full service from the first
  double latency_ms = 0;                         // admission to report
  double queue_ms = 0;                           // request to admission
  std::int64_t peak_memory_bytes = 0;            // of the worker's process tree
  double cpu_seconds = 0;
  std::map<std::string, MetricVerdict> sla{};  // metric -> verdict
  Verdict training_impact = Verdict::NotMeasured;
  std::string tier{};          // what enforced the limits
  bool enforcement = true;     // false: an explicit key had switched all limits off
  std::string weights_hash{};  // of the snapshot's bytes
  std::string request_path{};  // relative to the run directory
  std::string report_path{};   // relative to the run directory; empty when there is none

  friend bool operator==(const EvaluationRecord&, const EvaluationRecord&) = default;
};

/// Anything else worth keeping: an act of the guard, a lost learner, a refused evaluation.
struct EventRecord {
  WallTime wall{};
  LogLevel level = LogLevel::Info;
  std::string kind{};  // snake_case, as in «evaluation_rejected»
  std::string message{};
  std::string detail{};  // a JSON document, or empty

  friend bool operator==(const EventRecord&, const EventRecord&) = default;
};

/// A stretch of the training as its step clock showed it, with or without evaluations beside it:
/// what training impact is estimated from. The frames of one supervision follow each other without
/// a gap. Times are in ns since its first frame began.
struct FrameRecord {
  std::int64_t supervision = 0;  // tells the supervisions of one run apart
  std::int64_t number = 0;       // counted from 1
  std::int64_t begin_ns = 0;
  std::int64_t end_ns = 0;
  std::string setting{};  // «free», «held», «off», «on», «switch»: guard/training_impact.h
  bool running = false;   // an evaluation (or the load) could run in it, or had only just stopped
  bool burst = true;      // at full weight; else in the slack class
  std::string control{};   // «nothing» or «load»: of a control, no evaluation runs; or empty
  std::int64_t block = 0;  // 0: of none
  std::int64_t slot = 0;   // 1 .. slots
  std::int64_t slots = 0;  // of its block
  double cap = 0;          // how much faster than the reference the block's hold-out may be
  std::int64_t planned_ns = 0;   // how long it was to be; it ends with the first tick after that
  std::int64_t measured_ns = 0;  // between the ticks next to its ends
  std::vector<std::int64_t> ticks{};    // in it, by telemetry::Phase
  std::vector<std::int64_t> units{};    // the same
  std::vector<std::int64_t> time_ns{};  // the same
  double own_cpu = 0;                   // of the evaluations and the load, in CPU seconds
  double trainer_cpu = 0;               // of the trainer and its descendants, in CPU seconds
  double others_cpu = 0;                // of everybody else, in CPU seconds
  double watching_cpu = 0;              // of the supervisor for evaluations' sake, in CPU seconds
  std::string discarded{};  // why it is not used, decided before its rate was looked at; or empty

  friend bool operator==(const FrameRecord&, const FrameRecord&) = default;
};

/// What is kept of a run.
using Record =
    std::variant<UpdateRecord, EvaluationRecord, CheckpointRecord, EventRecord, FrameRecord>;

[[nodiscard]] std::string to_json(const HelloRecord& record);
[[nodiscard]] std::string to_json(const UpdateRecord& record);
[[nodiscard]] std::string to_json(const CheckpointRecord& record);
[[nodiscard]] std::string to_json(const SnapshotNotice& record);
[[nodiscard]] std::string to_json(const FinishedRecord& record);
[[nodiscard]] std::string to_json(const EvaluationRecord& record);
[[nodiscard]] std::string to_json(const EventRecord& record);
[[nodiscard]] std::string to_json(const FrameRecord& record);

[[nodiscard]] Result<HelloRecord> parse_hello(std::string_view json);
[[nodiscard]] Result<UpdateRecord> parse_update(std::string_view json);
[[nodiscard]] Result<CheckpointRecord> parse_checkpoint(std::string_view json);
[[nodiscard]] Result<SnapshotNotice> parse_notice(std::string_view json);
[[nodiscard]] Result<FinishedRecord> parse_finished(std::string_view json);
[[nodiscard]] Result<EvaluationRecord> parse_evaluation(std::string_view json);
[[nodiscard]] Result<EventRecord> parse_event(std::string_view json);
[[nodiscard]] Result<FrameRecord> parse_frame(std::string_view json);

[[nodiscard]] std::string_view to_string(LogLevel level);  // «debug», «info», ...
[[nodiscard]] std::string_view to_string(Verdict verdict);  // «met», «violated», «not_measured»
[[nodiscard]] std::string_view to_string(EvaluationEntry entry);  // «checkpoint», ...
[[nodiscard]] Result<LogLevel> parse_log_level(std::string_view text);

}  // namespace keisei::telemetry
