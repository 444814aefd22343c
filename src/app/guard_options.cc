#include "app/guard_options.h"

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/units.h"

namespace keisei::app {
namespace {

/// What one option says, read and checked together with those before it.
class LimitReader {
 public:
  explicit LimitReader(Bytes host_memory) : host_memory_(host_memory) {}

  template <typename Value, typename Field>
  void read(std::string_view option, const std::string& text,
            Result<Value> (*parse)(std::string_view), Field guard::EvaluationLimits::*field) {
    if (error_) {
      return;
    }
    Result<Value> value = parse(text);
    Result<void> checked;
    if (value) {
      limits_.*field = *value;
      checked = guard::validate(limits_, host_memory_);
    }
    if (!value || !checked) {
      error_ = with_context(value ? std::move(checked).error() : std::move(value).error(),
                            fmt::format("{} '{}'", option, text))
                   .value();
    }
  }

  Result<guard::EvaluationLimits> limits() && {
    if (error_) {
      return tl::unexpected(std::move(*error_));
    }
    return limits_;
  }

 private:
  const Bytes host_memory_;
  guard::EvaluationLimits limits_;
  std::optional<Error> error_;
};

/// A size without a unit is more often MB that were meant than bytes.
Result<Bytes> parse_size(std::string_view text) {
  const bool only_number = !text.empty() && text.find_first_not_of("0123456789.") == text.npos;
  if (only_number && text.find_first_not_of("0.") != text.npos) {
    return usage_error("a size needs its unit: write {}MB, {}MiB or {}B", text, text, text);
  }
  return parse_bytes(text);
}

Result<int> parse_count(std::string_view text) {
  int count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return usage_error("write how many as a whole number below 2^31, as in 64");
  }
  return count;
}

}  // namespace

Result<guard::EvaluationLimits> limits_of(const GuardOptions& options, Bytes host_memory) {
  using Limits = guard::EvaluationLimits;
  LimitReader reader(host_memory);
  reader.read("--timeout", options.timeout, parse_duration, &Limits::timeout);
  reader.read("--memory", options.memory, parse_size, &Limits::memory);
  if (!options.cpu.empty()) {
    reader.read("--cpu", options.cpu, parse_percent, &Limits::cpu_percent);
  }
  if (!options.processes.empty()) {
    reader.read("--processes", options.processes, parse_count, &Limits::processes);
  }
  if (!options.file_size.empty()) {
    reader.read("--file-size", options.file_size, parse_size, &Limits::file_size);
  }
  return std::move(reader).limits();
}

Result<std::optional<double>> impact_limit_of(const GuardOptions& options) {
  if (options.impact.empty()) {
    return std::nullopt;
  }
  const Result<double> percent = parse_percent(options.impact);
  if (!percent) {
    return with_context(percent.error(), fmt::format("--impact '{}'", options.impact));
  }
  if (!(*percent > 0 && *percent <= 100)) {
    return usage_error("--impact '{}': write a share of the training above 0% and at most 100%",
                       options.impact);
  }
  if (!options.training) {
    return usage_error(
        "--impact '{}' needs --training FILE or PID: whose time may the command take?",
        options.impact);
  }
  return *percent / 100;
}

Result<void> check_slots(const std::string& directory) {
  if (directory.empty()) {
    return {};
  }
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (!error && access(directory.c_str(), W_OK | X_OK) != 0) {
    error.assign(errno, std::generic_category());
  }
  if (!error && !std::filesystem::is_directory(directory, error)) {
    error = std::make_error_code(std::errc::not_a_directory);
  }
  if (error) {
    return usage_error("--slots '{}': {}; name a directory that you may write", directory,
                       error.message());
  }
  return {};
}

}  // namespace keisei::app
