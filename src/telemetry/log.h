#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "telemetry/records.h"

namespace keisei::telemetry {

/// What a program says about itself: lines for people on stderr (coloured on a terminal, unless
/// NO_COLOR is set) and, when asked for, the same as JSON lines {"time", "level", "message"} in a
/// file. Any thread; a line is never torn. Blocks on stderr and the disk. A file that cannot be
/// written (full disk) is said once on stderr and costs nothing but its lines.
class Log {
 public:
  /// `file` is opened for appending; empty: stderr only.
  [[nodiscard]] static Result<Log> open(LogLevel level, const std::filesystem::path& file);

  Log(Log&&) noexcept;
  Log& operator=(Log&&) noexcept;
  ~Log();

  template <typename... Args>
  void debug(fmt::format_string<Args...> text, Args&&... args) {
    format(LogLevel::Debug, text, fmt::make_format_args(args...));
  }
  template <typename... Args>
  void info(fmt::format_string<Args...> text, Args&&... args) {
    format(LogLevel::Info, text, fmt::make_format_args(args...));
  }
  template <typename... Args>
  void warning(fmt::format_string<Args...> text, Args&&... args) {
    format(LogLevel::Warning, text, fmt::make_format_args(args...));
  }
  template <typename... Args>
  void error(fmt::format_string<Args...> text, Args&&... args) {
    format(LogLevel::Error, text, fmt::make_format_args(args...));
  }

  /// The JSON line has «kind» and «detail» too.
  void event(const EventRecord& event);

 private:
  class Impl;
  explicit Log(std::unique_ptr<Impl> impl);
  void format(LogLevel level, fmt::string_view text, fmt::format_args args);

  std::unique_ptr<Impl> impl_;
};

}  // namespace keisei::telemetry
