#include "adversary_table.h"

#include <functional>
#include <map>
#include <sstream>

#include "base/file.h"
#include "guarded_run.h"
#include "host_mechanisms.h"

namespace keisei::testing_support {
namespace {

using Causes = std::map<std::string, std::string>;

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(' ');
  return first == std::string::npos ? ""
                                    : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

std::vector<std::string> columns(const std::string& line) {
  std::vector<std::string> found;
  std::istringstream stream(line);
  for (std::string column; std::getline(stream, column, '|');) {
    found.push_back(trimmed(column));
  }
  return found;
}

Result<void> set_choice(AdversaryRow& row, const std::string& key, const std::string& value) {
  const std::map<std::string, std::function<void()>> choices = {
      {"profile=command", [&] { row.profile = guard::Profile::Command; }},
      {"containment=bare", [&] { row.containment = guard::Containment::Bare; }},
      {"without=user_namespace", [&] { row.without.user_namespace = true; }},
      {"without=mount_namespace", [&] { row.without.mount_namespace = true; }},
      {"without=network_namespace", [&] { row.without.network_namespace = true; }},
      {"without=landlock", [&] { row.without.landlock = true; }},
      {"without=seccomp", [&] { row.without.seccomp = true; }},
      {"scheduling=slack", [&] { row.scheduling = guard::Scheduling::Slack; }},
      {"report=json", [&] { row.reports = true; }},
      {"paused=yes", [&] { row.paused = true; }},
  };
  const auto choice = choices.find(key + "=" + value);
  if (choice == choices.end()) {
    return fail("there is no option {}={}", key, value);
  }
  choice->second();
  return {};
}

Result<void> set_bytes(Bytes& bytes, const std::string& value) {
  KEISEI_TRY(parsed, parse_bytes(value));
  bytes = parsed;
  return {};
}

Result<void> set_option(AdversaryRow& row, const std::string& key, const std::string& value) {
  if (key == "timeout") {
    KEISEI_TRY(timeout, parse_duration(value));
    row.limits.timeout = timeout;
  } else if (key == "memory") {
    return set_bytes(row.limits.memory, value);
  } else if (key == "cpu") {
    KEISEI_TRY(percent, parse_percent(value));
    row.limits.cpu_percent = percent;
  } else if (key == "processes") {
    row.limits.processes = std::stoi(value);
  } else if (key == "file_size") {
    KEISEI_TRY(size, parse_bytes(value));
    row.limits.file_size = size;
  } else if (key == "weights") {
    return set_bytes(row.weights, value);
  } else if (key == "peak") {
    return set_bytes(row.peak, value);
  } else if (key == "cpu_seconds") {
    row.cpu_seconds = std::stod(value);
  } else if (key == "exit") {
    row.exit.code = std::stoi(value);
  } else if (key == "signal") {
    row.exit.signal = std::stoi(value);
  } else if (key == "says") {
    row.said = value;
  } else if (key == "unheld") {
    row.unheld = value;
  } else if (key == "needs" && is_mechanism(value)) {
    row.needs.push_back(value);
  } else {
    return set_choice(row, key, value);
  }
  return {};
}

/// number | name | program arguments | outcome | cause | options
Result<AdversaryRow> parse_row(const std::string& line, const Causes& causes) {
  std::vector<std::string> cells = columns(line);
  cells.resize(6);
  AdversaryRow row;
  row.number = std::atoi(cells[0].c_str());
  row.name = cells[1];
  row.arguments = words(cells[2]);
  const std::optional<guard::Outcome> outcome = guard::parse_outcome(cells[3]);
  if (row.number <= 0 || row.name.empty() || row.arguments.empty() || !outcome) {
    return fail("not «number | name | program | outcome | cause | options»");
  }
  row.outcome = *outcome;
  row.cause = causes.contains(cells[4]) ? causes.at(cells[4]) : cells[4];
  for (const std::string& option : words(cells[5])) {
    const std::size_t equals = option.find('=');
    if (equals == std::string::npos) {
      return fail("the option {} has no value", option);
    }
    KEISEI_TRY_VOID(set_option(row, option.substr(0, equals), option.substr(equals + 1)));
  }
  if (row.peak == Bytes{}) {
    row.peak = row.limits.memory + megabytes(64);
  }
  return row;
}

}  // namespace

Result<std::vector<AdversaryRow>> read_adversary_table() {
  const std::string path = adversary_path("table").string();
  KEISEI_TRY(text, read_file(path));
  std::vector<AdversaryRow> rows;
  Causes causes;
  std::istringstream stream(text);
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    if (line.empty() || line.starts_with('#')) {
      continue;
    }
    if (const std::size_t equals = line.find(" = "); line.starts_with("cause ")) {
      causes[trimmed(line.substr(6, equals - 6))] = trimmed(line.substr(equals + 3));
      continue;
    }
    Result<AdversaryRow> row = parse_row(line, causes);
    if (!row) {
      return fail("{}:{}: {}", path, number, row.error().message);
    }
    rows.push_back(std::move(*row));
  }
  return rows;
}

}  // namespace keisei::testing_support
