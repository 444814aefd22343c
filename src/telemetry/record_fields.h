#pragma once

#include <tuple>

#include "telemetry/records.h"

// The fields of each record: the one list that writing and reading JSON follow, in this order.
namespace keisei::telemetry {

/// Optional: newer than some records, which then have the default.
enum class Presence { Required, Optional };

template <typename Owner, typename T>
struct Field {
  const char* name;
  T Owner::*member;
  Presence presence = Presence::Required;
};
template <typename Owner, typename T>
constexpr Field<Owner, T> field(const char* name, T Owner::*member) {
  return {name, member};
}
template <typename Owner, typename T>
constexpr Field<Owner, T> later_field(const char* name, T Owner::*member) {
  return {name, member, Presence::Optional};
}

constexpr auto fields(const HelloRecord&) {
  using R = HelloRecord;
  return std::make_tuple(field("pid", &R::pid), field("step", &R::step), field("net", &R::net));
}

constexpr auto fields(const UpdateRecord&) {
  using R = UpdateRecord;
  return std::make_tuple(
      field("step", &R::step), field("update", &R::update), field("games", &R::games),
      field("policy_loss", &R::policy_loss), field("value_loss", &R::value_loss),
      field("entropy", &R::entropy), field("approx_kl", &R::approx_kl),
      field("clip_fraction", &R::clip_fraction),
      field("explained_variance", &R::explained_variance),
      field("gradient_norm", &R::gradient_norm), field("learning_rate", &R::learning_rate),
      field("steps_per_second", &R::steps_per_second),
      field("mean_game_plies", &R::mean_game_plies), field("rollout_seconds", &R::rollout_seconds),
      field("update_seconds", &R::update_seconds),
      field("snapshots_skipped", &R::snapshots_skipped), field("wall", &R::wall));
}

constexpr auto fields(const CheckpointRecord&) {
  using R = CheckpointRecord;
  return std::make_tuple(field("step", &R::step), field("path", &R::path),
                         field("seconds", &R::seconds), field("error", &R::error));
}

constexpr auto fields(const SnapshotNotice&) {
  using R = SnapshotNotice;
  return std::make_tuple(field("step", &R::step), field("sequence", &R::sequence),
                         field("seal_ms", &R::seal_ms));
}

constexpr auto fields(const FinishedRecord&) {
  using R = FinishedRecord;
  return std::make_tuple(field("step", &R::step), field("reason", &R::reason));
}

constexpr auto fields(const OpponentResult&) {
  using R = OpponentResult;
  return std::make_tuple(field("name", &R::name), field("games", &R::games),
                         field("wins", &R::wins), field("draws", &R::draws),
                         field("losses", &R::losses), field("mean_plies", &R::mean_plies),
                         field("terminations", &R::terminations));
}

constexpr auto fields(const ScoreEstimate&) {
  using R = ScoreEstimate;
  return std::make_tuple(field("value", &R::value), field("low", &R::low), field("high", &R::high));
}

constexpr auto fields(const EloEstimate&) {
  using R = EloEstimate;
  return std::make_tuple(field("value", &R::value), field("low", &R::low), field("high", &R::high));
}

constexpr auto fields(const MetricVerdict&) {
  using R = MetricVerdict;
  return std::make_tuple(field("value", &R::value), field("limit", &R::limit),
                         field("verdict", &R::verdict));
}

constexpr auto fields(const DegradationRecord&) {
  using R = DegradationRecord;
  return std::make_tuple(field("level", &R::level), field("cause", &R::cause),
                         field("waited_ms", &R::waited_ms));
}

constexpr auto fields(const EvaluationRecord&) {
  using R = EvaluationRecord;
  return std::make_tuple(
      field("id", &R::id), field("step", &R::step), field("entry", &R::entry),
      field("started", &R::started), field("outcome", &R::outcome), field("cause", &R::cause),
      field("opponents", &R::opponents), field("score", &R::score), field("elo", &R::elo),
      field("partial", &R::partial), later_field("games_asked", &R::games_asked),
      later_field("degradation", &R::degradation), field("latency_ms", &R::latency_ms),
      field("queue_ms", &R::queue_ms), field("peak_memory_bytes", &R::peak_memory_bytes),
      field("cpu_seconds", &R::cpu_seconds), field("sla", &R::sla),
      field("training_impact", &R::training_impact), field("tier", &R::tier),
      later_field("enforcement", &R::enforcement), field("weights_hash", &R::weights_hash),
      field("request_path", &R::request_path), field("report_path", &R::report_path));
}

constexpr auto fields(const EventRecord&) {
  using R = EventRecord;
  return std::make_tuple(field("wall", &R::wall), field("level", &R::level),
                         field("kind", &R::kind), field("message", &R::message),
                         field("detail", &R::detail));
}

constexpr auto fields(const FrameRecord&) {
  using R = FrameRecord;
  return std::make_tuple(
      field("supervision", &R::supervision), field("number", &R::number),
      field("begin_ns", &R::begin_ns), field("end_ns", &R::end_ns), field("setting", &R::setting),
      field("running", &R::running), field("burst", &R::burst), field("control", &R::control),
      field("block", &R::block), field("slot", &R::slot), field("slots", &R::slots),
      field("cap", &R::cap), field("planned_ns", &R::planned_ns),
      field("measured_ns", &R::measured_ns), field("ticks", &R::ticks), field("units", &R::units),
      field("time_ns", &R::time_ns), field("own_cpu", &R::own_cpu),
      field("trainer_cpu", &R::trainer_cpu), field("others_cpu", &R::others_cpu),
      later_field("watching_cpu", &R::watching_cpu), field("discarded", &R::discarded));
}

}  // namespace keisei::telemetry
