#include "app/options_toml.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <sstream>

namespace keisei::app {
namespace {

OptionValue list_of_texts(const toml::array& array) {
  std::vector<std::string> texts;
  for (const toml::node& item : array) {
    const auto* text = item.as_string();
    if (text == nullptr) {
      return {};
    }
    texts.push_back(text->get());
  }
  return texts;
}

void take_value(const toml::node& node, TomlEntry& entry) {
  if (const auto* boolean = node.as_boolean()) {
    entry.value = boolean->get();
    entry.type = "true or false";
  } else if (const auto* integer = node.as_integer()) {
    entry.value = integer->get();
    entry.type = "an integer";
  } else if (const auto* number = node.as_floating_point()) {
    entry.value = number->get();
    entry.type = "a number";
  } else if (const auto* text = node.as_string()) {
    entry.value = text->get();
    entry.type = "text";
  } else if (const auto* array = node.as_array()) {
    entry.value = list_of_texts(*array);
    entry.type = entry.value.index() == 0 ? "a list of other things" : "a list of texts";
  } else {
    entry.type = node.is_table() ? "a table" : "a date or time";
    entry.is_table = node.is_table();
  }
}

void flatten(const toml::table& table, const std::string& prefix, std::vector<TomlEntry>& entries) {
  for (const auto& [key, node] : table) {
    const toml::source_position begin = key.source().begin;
    TomlEntry& entry = entries.emplace_back(TomlEntry{.key = prefix + std::string(key.str()),
                                                      .value = {},
                                                      .type = "",
                                                      .line = static_cast<int>(begin.line),
                                                      .column = static_cast<int>(begin.column)});
    take_value(node, entry);
    if (const auto* inner = node.as_table()) {
      const std::string inner_prefix = entry.key + ".";
      flatten(*inner, inner_prefix, entries);
    }
  }
}

struct Writer {
  std::string operator()(std::monostate) const { return ""; }
  std::string operator()(bool boolean) const { return boolean ? "true" : "false"; }
  std::string operator()(std::int64_t integer) const { return fmt::format("{}", integer); }
  std::string operator()(double number) const {  // toml++ writes 0.2 as 0.20000000000000001
    std::string text = fmt::format("{}", number);
    return text.find_first_not_of("-0123456789") == text.npos ? text += ".0" : text;
  }
  std::string operator()(const std::string& text) const {
    std::ostringstream out;
    out << toml::toml_formatter(toml::value<std::string>(text), toml::format_flags::none);
    return out.str();
  }
  std::string operator()(const std::vector<std::string>& texts) const {
    std::string list;
    for (const std::string& text : texts) {
      list += (list.empty() ? "" : ", ") + (*this)(text);
    }
    return "[" + list + "]";
  }
};

}  // namespace

Result<std::vector<TomlEntry>> read_toml(std::string_view text, std::string_view name) {
  try {
    std::vector<TomlEntry> entries;
    flatten(toml::parse(text, name), "", entries);
    std::ranges::stable_sort(entries, [](const TomlEntry& a, const TomlEntry& b) {
      return std::pair(a.line, a.column) < std::pair(b.line, b.column);
    });
    return entries;
  } catch (const toml::parse_error& error) {
    return usage_error("{}:{}:{}: not TOML: {}", name, error.source().begin.line,
                       error.source().begin.column, error.description());
  }
}

Result<TomlEntry> read_toml_value(std::string_view text) {
  KEISEI_TRY(entries, read_toml(fmt::format("value = {}", text), "value"));
  if (entries.size() != 1) {
    return usage_error("«{}» is not one value", text);
  }
  return std::move(entries.front());
}

std::string toml_literal(const OptionValue& value) { return std::visit(Writer{}, value); }

}  // namespace keisei::app
