#include "report/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>

#include "report/evaluation_table.h"
#include "report/text.h"

namespace keisei::report {
namespace {

using telemetry::EvaluationRecord;

constexpr std::string_view kLegend =
    "\nIntervals hold 95 %. met, VIOLATED: against the limit of the SLA; -: not measured.\n";

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

using Draw = std::string (*)(std::span<const EvaluationRecord> evaluations);

std::string render_lines(const RunHistory& history, std::string text, const char* line, Draw draw) {
  for (const auto& [title, content] : headings(history)) {
    text += fmt::format(fmt::runtime(line), title, content);
  }
  if (!history.evaluations.empty()) {
    text += fmt::format("\n{}{}", draw(history.evaluations), kLegend);
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
      return render_lines(history, "", "{:<11}  {}\n", aligned_table);
    case Format::Markdown:
      return render_lines(history, "# Report\n\n", "- **{}**: {}\n", markdown_table);
    case Format::Json:
      return render_json(history);
  }
  return {};
}

}  // namespace keisei::report
