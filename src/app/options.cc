#include "app/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "app/options_toml.h"
#include "base/file.h"
#include "base/units.h"

namespace keisei::app {

std::string origin_of(const Options& options, std::string_view key) {
  const auto found = options.origins.find(key);
  return found == options.origins.end() ? "default" : found->second;
}

namespace {

constexpr std::string_view kPrefix = "KEISEI_";
constexpr std::string_view kUnset = "unset";

template <typename T>
constexpr bool kIsNumber = std::is_same_v<T, std::int64_t> || std::is_same_v<T, double> ||
                           std::is_same_v<T, std::optional<double>>;

/// Calls `visit` with the field of `key` in `options`.
template <typename Visit>
decltype(auto) with_field(const OptionKey& key, Options& options, const Visit& visit) {
  return std::visit([&](auto access) -> decltype(auto) { return visit(access(options)); },
                    key.field);
}

const OptionKey* find_key(std::string_view name) {
  const auto found = std::ranges::find(option_keys(), name, &OptionKey::name);
  return found == option_keys().end() ? nullptr : &*found;
}

// --- suggestions -------------------------------------------------------------------------------

std::size_t edit_distance(std::string_view a, std::string_view b) {  // Levenshtein 1966
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

std::string_view last_part(std::string_view key) { return key.substr(key.rfind('.') + 1); }

/// The valid key that was most likely meant: the right name in a wrong section, or the fewest
/// letters away.
std::string_view nearest_key(std::string_view wrong) {
  const auto distance = [&](const OptionKey& key) {
    const std::size_t letters = edit_distance(wrong, key.name);
    return last_part(wrong) == last_part(key.name) ? std::min<std::size_t>(letters, 1) : letters;
  };
  return std::ranges::min_element(option_keys(), {}, distance)->name;
}

tl::unexpected<Error> unknown_key(std::string_view where, std::string_view key) {
  return usage_error("{}: unknown key «{}»; did you mean «{}»?", where, key, nearest_key(key));
}

// --- one value into its field ------------------------------------------------------------------

bool convert(const OptionValue& value, double& field) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    field = static_cast<double>(*integer);
    return true;
  }
  const auto* number = std::get_if<double>(&value);
  field = number == nullptr ? field : *number;
  return number != nullptr;
}

bool convert(const OptionValue& value, std::optional<double>& field) {
  if (std::holds_alternative<std::monostate>(value)) {
    field.reset();
    return true;
  }
  return convert(value, field.emplace());
}

template <typename T>
bool convert(const OptionValue& value, T& field) {
  const auto* same = std::get_if<T>(&value);
  if (same != nullptr) {
    field = *same;
  }
  return same != nullptr;
}

bool in_range(const OptionKey& key, std::int64_t value) {
  return static_cast<double>(value) >= key.min && static_cast<double>(value) <= key.max;
}
bool in_range(const OptionKey& key, double value) { return value >= key.min && value <= key.max; }
bool in_range(const OptionKey& key, const std::optional<double>& value) {
  return !value || in_range(key, *value);
}
bool in_range(const OptionKey& key, const std::string& value) {
  return key.choices.empty() || std::ranges::find(key.choices, value) != key.choices.end();
}
bool in_range(const OptionKey&, const std::vector<std::string>& value) { return !value.empty(); }
bool in_range(const OptionKey&, bool) { return true; }

/// `where` is the origin, too. `type` is what stands there, for the message.
Result<void> assign(Options& options, const OptionKey& key, const TomlEntry& entry,
                    std::string_view where) {
  return with_field(key, options, [&](auto& field) -> Result<void> {
    if (entry.is_table || !convert(entry.value, field)) {
      return usage_error("{}: {} must be {}, and not {}", where, key.name, type_name(key),
                         entry.type);
    }
    if (!in_range(key, field)) {
      return usage_error("{}: {} = {} is out of range: {}", where, key.name,
                         toml_literal(entry.value), range_text(key));
    }
    options.origins.insert_or_assign(std::string(key.name), std::string(where));
    return {};
  });
}

// --- text of the environment and of --set ------------------------------------------------------

std::vector<std::string> split_at_commas(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    parts.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

/// Text and lists may stand without quotes and brackets; all else is TOML.
Result<TomlEntry> read_text(const OptionKey& key, std::string_view text) {
  Options scratch;
  TomlEntry entry{.key = std::string(key.name), .value = {}, .type = "text"};
  const bool quoted = text.starts_with('"') || text.starts_with('\'');
  const bool unquoted_text = with_field(key, scratch, [&]<typename T>(T&) {
    if constexpr (std::is_same_v<T, std::string>) {
      entry.value = std::string(text);
      return !quoted;
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      entry.value = split_at_commas(text);
      return !text.starts_with('[');
    } else {
      return std::is_same_v<T, std::optional<double>> && text == kUnset;
    }
  });
  if (!unquoted_text) {
    auto read = read_toml_value(text);
    return read ? *std::move(read) : std::move(entry);  // words are text, and so the wrong type
  }
  const auto read_back = read_toml_value(toml_literal(entry.value));
  if (entry.value.index() != 0 && (!read_back || read_back->value != entry.value)) {
    return usage_error("the value is not UTF-8 text");
  }
  return entry;
}

Result<void> assign_text(Options& options, std::string_view name, std::string_view text,
                         std::string_view where) {
  const OptionKey* key = find_key(name);
  if (key == nullptr) {
    return unknown_key(where, name);
  }
  auto entry = read_text(*key, text);
  if (!entry) {
    return with_context(std::move(entry).error(), fmt::format("{}: {}", where, name));
  }
  return assign(options, *key, *entry, where);
}

/// KEISEI_EVALUATION__LIMITS__TIMEOUT_S -> evaluation.limits.timeout_s
std::string key_of_variable(std::string_view variable) {
  std::string key;
  for (std::size_t i = kPrefix.size(); i < variable.size(); ++i) {
    if (variable.substr(i).starts_with("__")) {
      key += '.';
      ++i;
    } else {
      key += static_cast<char>(std::tolower(static_cast<unsigned char>(variable[i])));
    }
  }
  return key;
}

Result<void> apply_environment(Options& options, const std::vector<std::string>& environment) {
  for (const std::string& entry : environment) {
    const std::string_view variable = std::string_view(entry).substr(0, entry.find('='));
    const bool ours = variable.starts_with(kPrefix) && variable.find("__") != variable.npos;
    if (!ours || variable.size() == entry.size()) {
      continue;
    }
    const std::string_view text = std::string_view(entry).substr(variable.size() + 1);
    KEISEI_TRY_VOID(assign_text(options, key_of_variable(variable), text,
                                fmt::format("environment {}", variable)));
  }
  return {};
}

Result<void> apply_assignments(Options& options, const std::vector<std::string>& assignments) {
  for (const std::string& assignment : assignments) {
    const std::size_t equals = assignment.find('=');
    if (equals == assignment.npos) {
      return usage_error("--set {}: expected KEY=VALUE, as in --set training.net=b4c64",
                         assignment);
    }
    KEISEI_TRY_VOID(assign_text(options, assignment.substr(0, equals),
                                std::string_view(assignment).substr(equals + 1), "command line"));
  }
  return {};
}

bool is_section(std::string_view name) {
  return std::ranges::any_of(option_keys(), [&](const OptionKey& key) {
    return key.name.starts_with(name) && key.name.substr(name.size()).starts_with('.');
  });
}

Result<void> apply_toml(Options& options, std::string_view toml, std::string_view name) {
  KEISEI_TRY(entries, read_toml(toml, name));
  for (const TomlEntry& entry : entries) {
    if (entry.is_table && is_section(entry.key)) {
      continue;
    }
    const std::string where = fmt::format("{}:{}:{}", name, entry.line, entry.column);
    const OptionKey* key = find_key(entry.key);
    if (key == nullptr) {
      return unknown_key(where, entry.key);
    }
    KEISEI_TRY_VOID(assign(options, *key, entry, where));
  }
  return {};
}

// --- values that must fit each other -----------------------------------------------------------

Result<void> check_together(const Options& options) {
  const TrainingOptions& training = options.training;
  const std::int64_t samples = training.environments * training.rollout_steps;
  if (training.minibatch > samples) {
    return usage_error(
        "training.minibatch = {} ({}) is more than a rollout holds: training.environments x "
        "training.rollout_steps = {}",
        training.minibatch, origin_of(options, "training.minibatch"), samples);
  }
  if (training.micro_batch > training.minibatch) {
    return usage_error("training.micro_batch = {} ({}) is more than training.minibatch = {}",
                       training.micro_batch, origin_of(options, "training.micro_batch"),
                       training.minibatch);
  }
  return {};
}

std::string number_text(double number) { return fmt::format("{:.16g}", number); }

/// «help. integer, 1 .. 100, steps»
std::string comment_of(const OptionKey& key) {
  std::string text = fmt::format("{}. {}", key.help, type_name(key));
  for (const std::string& part : {range_text(key), std::string(key.unit)}) {
    text += part.empty() ? "" : ", " + part;
  }
  return text;
}

}  // namespace

std::string_view type_name(const OptionKey& key) {
  Options scratch;
  return with_field(key, scratch, []<typename T>(T&) -> std::string_view {
    if constexpr (std::is_same_v<T, bool>) {
      return "true or false";
    } else if constexpr (std::is_same_v<T, std::int64_t>) {
      return "an integer";
    } else if constexpr (std::is_same_v<T, std::string>) {
      return "text";
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      return "a list of texts";
    } else {
      return "a number";
    }
  });
}

std::string range_text(const OptionKey& key) {
  Options scratch;
  return with_field(key, scratch, [&]<typename T>(T&) -> std::string {
    if constexpr (kIsNumber<T>) {
      return number_text(key.min) + " .. " + number_text(key.max);
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      return "at least one";
    } else {
      return key.choices.empty() ? ""
                                 : fmt::format("{} {}", key.choices.size() == 1 ? "only" : "one of",
                                               fmt::join(key.choices, ", "));
    }
  });
}

OptionValue value_of(const OptionKey& key, const Options& options) {
  Options copy = options;
  return with_field(key, copy, []<typename T>(T& field) -> OptionValue {
    if constexpr (std::is_same_v<T, std::optional<double>>) {
      return field ? OptionValue(*field) : OptionValue();
    } else {
      return field;
    }
  });
}

std::vector<std::string> process_environment() {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    environment.emplace_back(*entry);
  }
  return environment;
}

Result<Options> load_options(const OptionSources& sources) {
  Options options;
  if (sources.file) {
    auto text = read_file(*sources.file, megabytes(10));
    if (!text) {
      return usage_error("the configuration: {}", text.error().message);
    }
    KEISEI_TRY_VOID(apply_toml(options, *text, sources.file->string()));
  }
  KEISEI_TRY_VOID(apply_environment(options, sources.environment));
  KEISEI_TRY_VOID(apply_assignments(options, sources.assignments));
  KEISEI_TRY_VOID(check_together(options));
  return options;
}

Result<Options> parse_options(std::string_view toml, std::string_view name) {
  Options options;
  KEISEI_TRY_VOID(apply_toml(options, toml, name));
  KEISEI_TRY_VOID(check_together(options));
  return options;
}

std::string to_toml(const Options& options) {
  std::string text;
  std::string_view section;
  for (const OptionKey& key : option_keys()) {
    const std::string_view own = key.name.substr(0, key.name.rfind('.'));
    if (own != section) {
      text += fmt::format("{}[{}]\n", section.empty() ? "" : "\n", own);
      section = own;
    }
    const OptionValue value = value_of(key, options);
    const bool is_unset = value.index() == 0;
    text += fmt::format("# {}\n{}{} = {}\n", comment_of(key), is_unset ? "# " : "",
                        last_part(key.name), is_unset ? kUnset : toml_literal(value));
  }
  return text;
}

std::string to_json(const Options& options) {
  auto document = nlohmann::ordered_json::object();
  for (const OptionKey& key : option_keys()) {
    auto& entry = document[std::string(key.name)];
    entry["value"] = nullptr;
    std::visit(
        [&]<typename T>(const T& value) {
          if constexpr (!std::is_same_v<T, std::monostate>) {
            entry["value"] = value;
          }
        },
        value_of(key, options));
    entry["type"] = type_name(key);
    entry["range"] = range_text(key);
    entry["unit"] = key.unit;
    entry["help"] = key.help;
    entry["origin"] = origin_of(options, key.name);
  }
  return document.dump(2);
}

}  // namespace keisei::app
