#include "app/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace keisei::app {
namespace {

/// 1234567 -> «1,234,567».
std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  const std::size_t sign = digits.starts_with('-') ? 1 : 0;
  for (std::size_t at = digits.size(); at > 3 + sign;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::string score_text(const telemetry::EvaluationRecord& record) {
  if (!record.score) {
    return "no game";
  }
  return fmt::format("{:.2f} [{:.2f}, {:.2f}]", record.score->value, record.score->low,
                     record.score->high);
}

std::string opponents_text(const telemetry::EvaluationRecord& record) {
  std::string text;
  for (const auto& opponent : record.opponents) {
    text += fmt::format("{}{} +{} ={} -{}", text.empty() ? "" : ", ", opponent.name, opponent.wins,
                        opponent.draws, opponent.losses);
  }
  return text;
}

/// « (4 of 20 games)» where fewer were played than asked for.
std::string shortfall_text(const telemetry::EvaluationRecord& record) {
  std::int64_t played = 0;
  for (const auto& opponent : record.opponents) {
    played += opponent.games;
  }
  return played > 0 && played < record.games_asked
             ? fmt::format(" ({} of {} games)", played, record.games_asked)
             : "";
}

const char* word(telemetry::Verdict verdict) {
  switch (verdict) {
    case telemetry::Verdict::Met:
      return "met";
    case telemetry::Verdict::Violated:
      return "VIOLATED";
    case telemetry::Verdict::NotMeasured:
      break;
  }
  return "not measured";
}

std::string verdict_of(const telemetry::EvaluationRecord& record, const char* metric) {
  const auto found = record.sla.find(metric);
  return found == record.sla.end() ? "not measured" : word(found->second.verdict);
}

}  // namespace

std::string spoken_duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(std::max(0.0, seconds)));
  if (whole >= 3600) {
    return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
  }
  if (whole >= 60) {
    return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  }
  return fmt::format("{} s", whole);
}

std::string progress_line(const ProgressState& state) {
  std::string line;
  if (!state.enforcement) {
    line += "ENFORCEMENT OFF  ";
  }
  if (!state.learner_attached) {
    line += "(no learner)  ";
  }
  if (state.learner_silent) {
    line += "(the learner makes no progress)  ";
  }
  if (!state.update) {
    return line + "waiting for the first update";
  }
  const telemetry::UpdateRecord& update = *state.update;
  const double share = 100.0 * static_cast<double>(update.step) /
                       static_cast<double>(std::max<std::int64_t>(1, state.total_steps));
  line += fmt::format("step {}/{} ({:.0f} %)  {} steps/s", grouped(update.step),
                      grouped(state.total_steps), share,
                      grouped(std::llround(update.steps_per_second)));
  if (update.steps_per_second > 0 && state.total_steps > update.step) {
    line += "  ETA " + spoken_duration(static_cast<double>(state.total_steps - update.step) /
                                       update.steps_per_second);
  }
  line += fmt::format("  policy {:.3f}  value {:.3f}  entropy {:.2f}", update.policy_loss,
                      update.value_loss, update.entropy);
  if (state.evaluation) {
    line += fmt::format("  eval@{} {}{}", grouped(state.evaluation->step),
                        score_text(*state.evaluation), shortfall_text(*state.evaluation));
  }
  if (state.evaluations_active > 0) {
    line += fmt::format("  ({} evaluating)", state.evaluations_active);
  }
  return line;
}

std::string evaluation_line(const telemetry::EvaluationRecord& record) {
  std::string line = fmt::format(
      "evaluation {}: {}  score {}{}  {}{}  latency {:.0f} ms ({})  memory {:.0f} MB ({})  impact "
      "{} "
      " "
      "gpu {}",
      grouped(record.step), opponents_text(record), score_text(record), shortfall_text(record),
      record.outcome, record.partial ? " (partial)" : "", record.latency_ms,
      verdict_of(record, "evaluation_latency_ms"),
      static_cast<double>(record.peak_memory_bytes) / 1e6, verdict_of(record, "memory_overhead_mb"),
      verdict_of(record, "training_impact_percent"), verdict_of(record, "gpu_utilization_percent"));
  if (!record.enforcement) {
    line += "  ENFORCEMENT OFF";
  }
  if (!record.cause.empty()) {
    line += "  because " + record.cause;
  }
  for (const auto& step : record.degradation) {
    if (step.level != "full") {  // that it ended goes without saying
      line += fmt::format("  {}: {}", step.level, step.cause);
    }
  }
  return line;
}

}  // namespace keisei::app
