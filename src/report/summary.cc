#include "report/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

namespace keisei::report {
namespace {

using telemetry::EvaluationRecord;
using telemetry::MetricVerdict;
using telemetry::Verdict;

constexpr std::string_view kNothing = "-";
constexpr std::string_view kLegend =
    "\nIntervals hold 95 %. met, VIOLATED: against the limit of the SLA; -: not measured.\n";

/// 1234567 -> «1,234,567»
std::string grouped(std::int64_t number) {
  std::string digits = fmt::format("{}", number);
  const std::ptrdiff_t first = digits.starts_with('-') ? 1 : 0;
  for (std::ptrdiff_t at = std::ssize(digits) - 3; at > first; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  }
  return digits;
}

std::string number_text(double number, int decimals) {
  return std::isfinite(number) ? fmt::format("{:.{}f}", number, decimals) : std::string(kNothing);
}

// --- cells -------------------------------------------------------------------------------------

std::string opponents_text(const EvaluationRecord& record) {
  std::string text;
  for (const auto& opponent : record.opponents) {
    text += text.empty() ? "" : ", ";
    text += opponent.name;
  }
  return text.empty() ? std::string(kNothing) : text;
}

/// Over all opponents.
std::int64_t total(const EvaluationRecord& record, std::int64_t telemetry::OpponentResult::*count) {
  return std::transform_reduce(record.opponents.begin(), record.opponents.end(), std::int64_t{0},
                               std::plus{}, std::mem_fn(count));
}

std::string games_text(const EvaluationRecord& record) {
  const std::int64_t played = total(record, &telemetry::OpponentResult::games);
  if (played > 0 && played < record.games_asked) {
    return fmt::format("{} of {}", grouped(played), grouped(record.games_asked));
  }
  return grouped(played) + (record.partial ? " of more" : "");
}

std::string results_text(const EvaluationRecord& record) {
  using R = telemetry::OpponentResult;
  return record.score ? fmt::format("+{} ={} -{}", total(record, &R::wins),
                                    total(record, &R::draws), total(record, &R::losses))
                      : std::string(kNothing);
}

std::string score_text(const EvaluationRecord& record) {
  return record.score ? fmt::format("{:.3f} [{:.3f}, {:.3f}]", record.score->value,
                                    record.score->low, record.score->high)
                      : std::string(kNothing);
}

std::string elo_text(const EvaluationRecord& record) {
  if (!record.elo) {
    return std::string(kNothing);
  }
  const auto& [value, low, high] = *record.elo;
  if (!value) {  // won all, or lost all
    return low    ? fmt::format("above {:+.0f}", *low)
           : high ? fmt::format("below {:+.0f}", *high)
                  : std::string(kNothing);
  }
  return fmt::format("{:+.0f} [{}, {}]", *value, low ? fmt::format("{:+.0f}", *low) : "-inf",
                     high ? fmt::format("{:+.0f}", *high) : "+inf");
}

std::string_view mark(Verdict verdict) {
  switch (verdict) {
    case Verdict::Met:
      return "met";
    case Verdict::Violated:
      return "VIOLATED";
    case Verdict::NotMeasured:
      return kNothing;
  }
  return kNothing;
}

/// «81 MB met». `shown` is the value where the metric itself was not judged.
std::string metric_text(const EvaluationRecord& record, const char* metric, std::string_view unit,
                        std::optional<double> shown = std::nullopt) {
  const auto found = record.sla.find(metric);
  const MetricVerdict judged = found == record.sla.end() ? MetricVerdict{} : found->second;
  const std::optional<double> value = judged.value ? judged.value : shown;
  if (!value || !std::isfinite(*value)) {
    return std::string(mark(judged.verdict));
  }
  const std::string number = *value < 10 ? number_text(*value, 1) : grouped(std::llround(*value));
  return fmt::format("{} {} {}", number, unit, mark(judged.verdict));
}

std::string outcome_text(const EvaluationRecord& record) {
  std::string text = record.enforcement ? record.outcome : record.outcome + " (ENFORCEMENT OFF)";
  text += record.cause.empty() ? "" : ": " + record.cause;
  for (const auto& step : record.degradation) {
    if (step.level != "full") {  // that it ended goes without saying
      text += fmt::format("; {} ({})", step.level, step.cause);
    }
  }
  return text;
}

// --- the table ---------------------------------------------------------------------------------

struct Column {
  std::string_view title;
  bool to_the_right;  // numbers are
};
using Row = std::vector<std::string>;

constexpr std::array<Column, 11> kColumns = {{{"step", true},
                                              {"opponent", false},
                                              {"games", true},
                                              {"result", false},
                                              {"score", false},
                                              {"Elo", false},
                                              {"latency", true},
                                              {"memory", true},
                                              {"impact", true},
                                              {"GPU", true},
                                              {"outcome", false}}};

Row row_of(const EvaluationRecord& record) {
  const auto if_it_ran = [&](double value) {
    return record.peak_memory_bytes > 0 ? std::optional(value) : std::nullopt;
  };
  const double memory_mb = static_cast<double>(record.peak_memory_bytes) / 1e6;
  return {grouped(record.step),
          opponents_text(record),
          games_text(record),
          results_text(record),
          score_text(record),
          elo_text(record),
          metric_text(record, "evaluation_latency_ms", "ms", if_it_ran(record.latency_ms)),
          metric_text(record, "memory_overhead_mb", "MB", if_it_ran(memory_mb)),
          metric_text(record, "training_impact_percent", "%"),
          metric_text(record, "gpu_utilization_percent", "%"),
          outcome_text(record)};
}

/// Columns of a terminal: East Asian characters (in UTF-8 from E3 on) take two.
std::size_t width_of(std::string_view text) {
  std::size_t width = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    width += (byte & 0xC0) == 0x80 ? 0 : byte >= 0xE3 ? 2 : 1;
  }
  return width;
}

std::string without_controls(std::string text) {
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
  return text;
}

std::string aligned(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(kColumns.size(), 0);
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(row[i]));
    }
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - width_of(row[i]), ' ');
      line += i == 0 ? "" : "  ";
      line += kColumns[i].to_the_right ? space + row[i] : row[i] + space;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += fmt::format("{}\n", line);
  }
  return text;
}

std::string markdown_row(Row row) {
  std::string line = "|";
  for (std::string& cell : row) {
    for (std::size_t at = 0; (at = cell.find('|', at)) != cell.npos; at += 2) {
      cell.insert(at, 1, '\\');
    }
    line += fmt::format(" {} |", cell);
  }
  return line += "\n";
}

std::string markdown(const std::vector<Row>& rows) {
  std::string text = markdown_row(rows.front()) + "|";
  for (const Column& column : kColumns) {
    text += column.to_the_right ? "---:|" : "---|";
  }
  text += "\n";
  for (std::size_t i = 1; i < rows.size(); ++i) {
    text += markdown_row(rows[i]);
  }
  return text;
}

std::vector<Row> table_of(const RunHistory& history) {
  std::vector<Row> rows(1);
  for (const Column& column : kColumns) {
    rows.front().emplace_back(column.title);
  }
  for (const EvaluationRecord& record : history.evaluations) {
    rows.push_back(row_of(record));
    std::ranges::transform(rows.back(), rows.back().begin(), without_controls);
  }
  return rows;
}

// --- the lines above it ------------------------------------------------------------------------

double training_seconds(const RunHistory& history) {
  double sum = 0;
  for (const auto& update : history.updates) {
    sum += update.rollout_seconds + update.update_seconds;
  }
  return sum;
}

/// Over the whole run; nothing where there is no time.
std::optional<double> mean_steps_per_second(const RunHistory& history) {
  const double seconds = training_seconds(history);
  if (history.updates.empty() || !(seconds > 0)) {
    return std::nullopt;
  }
  return static_cast<double>(history.updates.back().step) / seconds;
}

std::string duration_text(double duration) {
  const auto whole = std::isfinite(duration) ? std::llround(duration) : 0;
  if (whole >= 3600) {
    return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
  }
  return whole >= 60 ? fmt::format("{} min {:02} s", whole / 60, whole % 60)
                     : fmt::format("{} s", whole);
}

std::string training_line(const RunHistory& history) {
  if (history.updates.empty()) {
    return "no update yet";
  }
  const auto& last = history.updates.back();
  const auto rate = mean_steps_per_second(history);
  return fmt::format(
      "{} steps, {} updates, {} games in {}{}; at the end policy loss {}, value loss {}, "
      "entropy {}",
      grouped(last.step), grouped(last.update), grouped(last.games),
      duration_text(training_seconds(history)),
      rate ? fmt::format(" ({} steps/s)", grouped(std::llround(*rate))) : "",
      number_text(last.policy_loss, 3), number_text(last.value_loss, 3),
      number_text(last.entropy, 2));
}

std::string checkpoint_line(const RunHistory& history) {
  const auto is_saved = [](const telemetry::CheckpointRecord& c) { return c.error.empty(); };
  const auto saved = std::ranges::count_if(history.checkpoints, is_saved);
  const auto failed = std::ssize(history.checkpoints) - saved;
  std::string line = fmt::format("{} saved", saved);
  const auto last =
      std::find_if(history.checkpoints.rbegin(), history.checkpoints.rend(), is_saved);
  if (last != history.checkpoints.rend()) {
    line += ", last " + last->path;
  }
  if (failed > 0) {
    const auto lost =
        std::find_if_not(history.checkpoints.rbegin(), history.checkpoints.rend(), is_saved);
    line +=
        fmt::format("; {} FAILED, last at step {}: {}", failed, grouped(lost->step), lost->error);
  }
  return line;
}

std::string evaluation_line(const RunHistory& history) {
  std::map<std::string, int> outcomes;
  for (const EvaluationRecord& record : history.evaluations) {
    ++outcomes[record.outcome];
  }
  std::string line = fmt::format("{}", history.evaluations.size());
  for (const auto& [outcome, count] : outcomes) {
    line += fmt::format("{}{} {}", line.find(' ') == line.npos ? ": " : ", ", count, outcome);
  }
  return line;
}

std::string event_line(const RunHistory& history) {
  const auto count = [&](telemetry::LogLevel level) {
    return std::ranges::count(history.events, level, &telemetry::EventRecord::level);
  };
  const auto errors = count(telemetry::LogLevel::Error);
  const auto warnings = count(telemetry::LogLevel::Warning);
  const auto last = std::find_if(history.events.rbegin(), history.events.rend(), [](const auto& e) {
    return e.level == telemetry::LogLevel::Warning || e.level == telemetry::LogLevel::Error;
  });
  if (last == history.events.rend()) {
    return "no warning, no error";
  }
  return fmt::format("{} warnings, {} errors; last: {}", warnings, errors, last->message);
}

std::vector<std::pair<std::string_view, std::string>> headings(const RunHistory& history) {
  return {{"run", without_controls(history.name)},
          {"training", training_line(history)},
          {"checkpoints", without_controls(checkpoint_line(history))},
          {"evaluations", without_controls(evaluation_line(history))},
          {"events", without_controls(event_line(history))}};
}

using Draw = std::string (*)(const std::vector<Row>& rows);

std::string render_lines(const RunHistory& history, std::string text, const char* line, Draw draw) {
  for (const auto& [title, content] : headings(history)) {
    text += fmt::format(fmt::runtime(line), title, content);
  }
  if (!history.evaluations.empty()) {
    text += fmt::format("\n{}{}", draw(table_of(history)), kLegend);
  }
  return text;
}

template <typename Record>
nlohmann::ordered_json as_json(const std::vector<Record>& records) {
  auto list = nlohmann::ordered_json::array();
  for (const Record& record : records) {
    list.push_back(nlohmann::ordered_json::parse(telemetry::to_json(record)));
  }
  return list;
}

std::string render_json(const RunHistory& history) {
  nlohmann::ordered_json training = nullptr;
  if (!history.updates.empty()) {
    training = {{"seconds", training_seconds(history)},
                {"mean_steps_per_second", nullptr},
                {"last_update", nlohmann::ordered_json::parse(to_json(history.updates.back()))}};
    if (const auto rate = mean_steps_per_second(history)) {
      training["mean_steps_per_second"] = *rate;
    }
  }
  const nlohmann::ordered_json document = {{"run", history.name},
                                           {"training", training},
                                           {"checkpoints", as_json(history.checkpoints)},
                                           {"evaluations", as_json(history.evaluations)},
                                           {"events", as_json(history.events)}};
  return document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

Result<RunHistory> history_of(const store::RunStore& store, std::string name) {
  KEISEI_TRY(updates, store.updates_since(-1));
  KEISEI_TRY(evaluations, store.evaluations());
  KEISEI_TRY(checkpoints, store.checkpoints());
  KEISEI_TRY(events, store.events());
  return RunHistory{.name = std::move(name),
                    .updates = std::move(updates),
                    .evaluations = std::move(evaluations),
                    .checkpoints = std::move(checkpoints),
                    .events = std::move(events)};
}

std::string render(const RunHistory& history, Format format) {
  switch (format) {
    case Format::Text:
      return render_lines(history, "", "{:<11}  {}\n", aligned);
    case Format::Markdown:
      return render_lines(history, "# Report\n\n", "- **{}**: {}\n", markdown);
    case Format::Json:
      return render_json(history);
  }
  return {};
}

}  // namespace keisei::report
