#include "report/evaluation_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>
#include <string_view>
#include <vector>

#include "report/text.h"

namespace keisei::report {
namespace {

using telemetry::EvaluationRecord;
using telemetry::MetricVerdict;
using telemetry::Verdict;

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

std::vector<Row> rows_of(std::span<const EvaluationRecord> evaluations) {
  std::vector<Row> rows(1);
  for (const Column& column : kColumns) {
    rows.front().emplace_back(column.title);
  }
  for (const EvaluationRecord& record : evaluations) {
    rows.push_back(row_of(record));
    std::ranges::transform(rows.back(), rows.back().begin(), without_controls);
  }
  return rows;
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

}  // namespace

std::string aligned_table(std::span<const EvaluationRecord> evaluations) {
  const std::vector<Row> rows = rows_of(evaluations);
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

std::string markdown_table(std::span<const EvaluationRecord> evaluations) {
  const std::vector<Row> rows = rows_of(evaluations);
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

}  // namespace keisei::report
