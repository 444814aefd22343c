#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/options.h"

// The only door to toml++: TOML as a flat list of keys.
namespace keisei::app {

/// One key or one table of a document.
struct TomlEntry {
  std::string key;    // full, as in «evaluation.limits.timeout_s»
  OptionValue value;  // monostate: a table, or something that no option can be
  std::string type;   // «an integer», «a table», «a list of mixed things»: for messages
  int line = 0;       // of the key, from 1
  int column = 0;
  bool is_table = false;
};

/// In the order of the document's keys. Fails (Usage) on what is not TOML, with «NAME:LINE:COLUMN».
[[nodiscard]] Result<std::vector<TomlEntry>> read_toml(std::string_view text,
                                                       std::string_view name);

/// A value as it would stand behind «key = ». Fails (Usage) on anything else.
[[nodiscard]] Result<TomlEntry> read_toml_value(std::string_view text);

/// The text that stands behind «key = »; empty for monostate.
[[nodiscard]] std::string toml_literal(const OptionValue& value);

}  // namespace keisei::app
