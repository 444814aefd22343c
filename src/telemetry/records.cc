#include "telemetry/records.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "telemetry/record_fields.h"

namespace keisei::telemetry {
namespace {

using Json = nlohmann::ordered_json;

template <typename Enum>
struct Name {
  Enum value;
  std::string_view text;
};

constexpr std::array<Name<LogLevel>, 4> kLogLevels{{{LogLevel::Debug, "debug"},
                                                    {LogLevel::Info, "info"},
                                                    {LogLevel::Warning, "warning"},
                                                    {LogLevel::Error, "error"}}};
constexpr std::array<Name<Verdict>, 3> kVerdicts{{{Verdict::Met, "met"},
                                                  {Verdict::Violated, "violated"},
                                                  {Verdict::NotMeasured, "not_measured"}}};
constexpr std::array<Name<EvaluationEntry>, 3> kEntries{
    {{EvaluationEntry::Checkpoint, "checkpoint"},
     {EvaluationEntry::CurrentAgent, "current_agent"},
     {EvaluationEntry::Notice, "notice"}}};

constexpr const auto& names(LogLevel) { return kLogLevels; }
constexpr const auto& names(Verdict) { return kVerdicts; }
constexpr const auto& names(EvaluationEntry) { return kEntries; }

template <typename T>
concept HasFields = requires(const T& value) { fields(value); };

// --- writing -----------------------------------------------------------------------------------

Json encode(bool value) { return value; }
Json encode(const std::string& value) { return value; }
Json encode(WallTime value) { return iso_utc(value); }
Json encode(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
template <std::integral T>
Json encode(T value) {
  return value;
}
template <typename T>
  requires std::is_enum_v<T>
Json encode(T value) {
  return to_string(value);
}
template <HasFields T>
Json encode(const T& value);

template <typename T>
Json encode(const std::optional<T>& value) {
  return value ? encode(*value) : Json(nullptr);
}
template <typename T>
Json encode(const std::vector<T>& values) {
  Json json = Json::array();
  for (const T& value : values) {
    json.push_back(encode(value));
  }
  return json;
}
template <typename T>
Json encode(const std::map<std::string, T>& values) {
  Json json = Json::object();
  for (const auto& [name, value] : values) {
    json[name] = encode(value);
  }
  return json;
}
template <HasFields T>
Json encode(const T& value) {
  Json json = Json::object();
  std::apply([&](const auto&... f) { ((json[f.name] = encode(value.*f.member)), ...); },
             fields(value));
  return json;
}

/// Text that is not UTF-8 (a file name, the words of an engine) gets replacement characters.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// --- reading -----------------------------------------------------------------------------------

Result<void> decode(const Json& json, bool& value) {
  if (!json.is_boolean()) {
    return fail("expected true or false");
  }
  value = json.get<bool>();
  return {};
}

Result<void> decode(const Json& json, std::string& value) {
  if (!json.is_string()) {
    return fail("expected text");
  }
  value = json.get<std::string>();
  return {};
}

Result<void> decode(const Json& json, double& value) {
  if (json.is_null()) {
    value = std::numeric_limits<double>::quiet_NaN();
    return {};
  }
  if (!json.is_number()) {
    return fail("expected a number or null");
  }
  value = json.get<double>();
  return {};
}

template <std::integral T>
Result<void> decode(const Json& json, T& value) {
  if (!json.is_number_integer()) {
    return fail("expected an integer");
  }
  const bool fits = json.is_number_unsigned() ? std::in_range<T>(json.get<std::uint64_t>())
                                              : std::in_range<T>(json.get<std::int64_t>());
  if (!fits) {
    return fail("{} is out of range", dump(json));
  }
  value = json.get<T>();
  return {};
}

template <typename T>
  requires std::is_enum_v<T>
Result<void> decode(const Json& json, T& value) {
  if (json.is_string()) {
    for (const auto& name : names(value)) {
      if (name.text == json.get_ref<const std::string&>()) {
        value = name.value;
        return {};
      }
    }
  }
  return fail("{} is none of the known words", dump(json));
}

Result<void> decode(const Json& json, WallTime& value) {
  if (!json.is_string()) {
    return fail("expected a time");
  }
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  int millisecond = 0;
  char zone = 0;
  const auto& text = json.get_ref<const std::string&>();
  const int read =  // NOLINTNEXTLINE(cert-err34-c): the ranges are checked below
      std::sscanf(text.c_str(), "%4d-%2u-%2uT%2d:%2d:%2d.%3d%c", &year, &month, &day, &hour,
                  &minute, &second, &millisecond, &zone);
  const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{month},
                                         std::chrono::day{day}};
  const bool in_day = hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 &&
                      second <= 60 && millisecond >= 0;
  // System time counts nanoseconds from 1970 in 64 bits.
  if (read != 8 || zone != 'Z' || !date.ok() || year < 1678 || year > 2261 || !in_day) {
    return fail("«{}» is not a time like 2026-01-31T12:00:00.000Z", text);
  }
  value = std::chrono::sys_days{date} + std::chrono::hours{hour} + std::chrono::minutes{minute} +
          std::chrono::seconds{second} + std::chrono::milliseconds{millisecond};
  return {};
}

template <HasFields T>
Result<void> decode(const Json& json, T& value);

template <typename T>
Result<void> decode(const Json& json, std::optional<T>& value) {
  if (json.is_null()) {
    value.reset();
    return {};
  }
  return decode(json, value.emplace());
}

template <typename T>
Result<void> decode(const Json& json, std::vector<T>& values) {
  if (!json.is_array()) {
    return fail("expected a list");
  }
  for (const Json& item : json) {
    KEISEI_TRY_VOID(decode(item, values.emplace_back()));
  }
  return {};
}

template <typename T>
Result<void> decode(const Json& json, std::map<std::string, T>& values) {
  if (!json.is_object()) {
    return fail("expected an object");
  }
  for (const auto& [name, item] : json.items()) {
    if (auto read = decode(item, values[name]); !read) {
      return with_context(std::move(read).error(), name);
    }
  }
  return {};
}

template <typename T>
Result<void> decode_field(const Json& json, const char* name, Presence presence, T& value) {
  const auto found = json.find(name);
  if (found == json.end() && presence == Presence::Optional) {
    return {};
  }
  if (found == json.end()) {
    return fail("field «{}» is missing", name);
  }
  if (auto read = decode(*found, value); !read) {
    return with_context(std::move(read).error(), fmt::format("field «{}»", name));
  }
  return {};
}

template <HasFields T>
Result<void> decode(const Json& json, T& value) {
  if (!json.is_object()) {
    return fail("expected an object");
  }
  Result<void> read;
  std::apply(
      [&](const auto&... f) {
        ((read = decode_field(json, f.name, f.presence, value.*f.member), read.has_value()) && ...);
      },
      fields(value));
  return read;
}

Result<Json> parse_text(std::string_view text) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) {
    return fail("not a JSON document");
  }
  return json;
}

template <typename T>
Result<T> parse_record(std::string_view text, std::string_view what) {
  T record;
  const auto read =
      parse_text(text).and_then([&](const Json& json) { return decode(json, record); });
  if (!read) {
    return with_context(read.error(), fmt::format("reading the {} record", what));
  }
  return record;
}

template <typename Enum>
std::string_view name_of(Enum value) {
  for (const auto& name : names(value)) {
    if (name.value == value) {
      return name.text;
    }
  }
  return "?";
}

}  // namespace

std::string to_json(const HelloRecord& record) { return dump(encode(record)); }
std::string to_json(const UpdateRecord& record) { return dump(encode(record)); }
std::string to_json(const CheckpointRecord& record) { return dump(encode(record)); }
std::string to_json(const SnapshotNotice& record) { return dump(encode(record)); }
std::string to_json(const FinishedRecord& record) { return dump(encode(record)); }
std::string to_json(const EvaluationRecord& record) { return dump(encode(record)); }
std::string to_json(const EventRecord& record) { return dump(encode(record)); }
std::string to_json(const FrameRecord& record) { return dump(encode(record)); }

Result<HelloRecord> parse_hello(std::string_view json) {
  return parse_record<HelloRecord>(json, "hello");
}
Result<UpdateRecord> parse_update(std::string_view json) {
  return parse_record<UpdateRecord>(json, "update");
}
Result<CheckpointRecord> parse_checkpoint(std::string_view json) {
  return parse_record<CheckpointRecord>(json, "checkpoint");
}
Result<SnapshotNotice> parse_notice(std::string_view json) {
  return parse_record<SnapshotNotice>(json, "notice");
}
Result<FinishedRecord> parse_finished(std::string_view json) {
  return parse_record<FinishedRecord>(json, "finished");
}
Result<EvaluationRecord> parse_evaluation(std::string_view json) {
  return parse_record<EvaluationRecord>(json, "evaluation");
}
Result<EventRecord> parse_event(std::string_view json) {
  return parse_record<EventRecord>(json, "event");
}
Result<FrameRecord> parse_frame(std::string_view json) {
  return parse_record<FrameRecord>(json, "frame");
}

std::string_view to_string(LogLevel level) { return name_of(level); }
std::string_view to_string(Verdict verdict) { return name_of(verdict); }
std::string_view to_string(EvaluationEntry entry) { return name_of(entry); }

Result<LogLevel> parse_log_level(std::string_view text) {
  for (const auto& name : kLogLevels) {
    if (name.text == text) {
      return name.value;
    }
  }
  return usage_error("«{}» is not a log level: use debug, info, warning or error", text);
}

}  // namespace keisei::telemetry
