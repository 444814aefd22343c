#include "telemetry/log.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace keisei::telemetry {
namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::Debug:
      return spdlog::level::debug;
    case LogLevel::Info:
      return spdlog::level::info;
    case LogLevel::Warning:
      return spdlog::level::warn;
    case LogLevel::Error:
      return spdlog::level::err;
  }
  return spdlog::level::off;
}

std::string json_line(const EventRecord& event) {
  nlohmann::ordered_json line = {
      {"time", iso_utc(event.wall)}, {"level", to_string(event.level)}, {"message", event.message}};
  if (!event.kind.empty()) {
    line["kind"] = event.kind;
  }
  if (!event.detail.empty()) {
    auto detail = nlohmann::ordered_json::parse(event.detail, nullptr, false);
    line["detail"] = detail.is_discarded() ? nlohmann::ordered_json(event.detail) : detail;
  }
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::shared_ptr<spdlog::logger> make_logger(spdlog::sink_ptr sink, const char* pattern,
                                            LogLevel level) {
  auto logger = std::make_shared<spdlog::logger>("keisei", std::move(sink));
  logger->set_pattern(pattern);
  logger->set_level(spdlog_level(level));
  logger->flush_on(spdlog::level::trace);
  return logger;
}

}  // namespace

class Log::Impl {
 public:
  Impl(LogLevel level, const std::filesystem::path& file) {
    const bool plain = std::getenv("NO_COLOR") != nullptr;  // no-color.org
    people_ = make_logger(std::make_shared<spdlog::sinks::stderr_color_sink_mt>(
                              plain ? spdlog::color_mode::never : spdlog::color_mode::automatic),
                          "%H:%M:%S %^%l%$ %v", level);
    if (!file.empty()) {
      lines_ = make_logger(std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string()), "%v",
                           level);
      lines_->set_error_handler([this](const std::string& message) {
        if (!told_.test_and_set()) {
          std::fprintf(stderr, "keisei: the log file cannot be written: %s\n", message.c_str());
        }
      });
    }
  }

  void write(const EventRecord& event) {
    const auto level = spdlog_level(event.level);
    people_->log(level, spdlog::string_view_t(event.message));
    if (lines_ && lines_->should_log(level)) {
      lines_->log(level, spdlog::string_view_t(json_line(event)));
    }
  }

 private:
  std::shared_ptr<spdlog::logger> people_;
  std::shared_ptr<spdlog::logger> lines_;  // null: no file
  std::atomic_flag told_;                  // that the file cannot be written
};

Log::Log(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Log::Log(Log&&) noexcept = default;
Log& Log::operator=(Log&&) noexcept = default;
Log::~Log() = default;

Result<Log> Log::open(LogLevel level, const std::filesystem::path& file) {
  try {
    return Log(std::make_unique<Impl>(level, file));
  } catch (const spdlog::spdlog_ex& error) {
    return fail("opening the log file {}: {}", file.string(), error.what());
  }
}

void Log::format(LogLevel level, fmt::string_view text, fmt::format_args args) {
  impl_->write({.wall = std::chrono::system_clock::now(),
                .level = level,
                .message = fmt::vformat(text, args)});
}

void Log::event(const EventRecord& event) { impl_->write(event); }

}  // namespace keisei::telemetry
