#include "base/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/clock.h"

namespace keisei {
namespace {

struct Quantity {
  double value;
  std::string_view unit;
};

/// Splits «1.5 GB» into number and unit; nothing where there is no finite number in front.
std::optional<Quantity> split_quantity(std::string_view text) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc{} || !std::isfinite(value)) {
    return std::nullopt;
  }
  std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  while (!unit.empty() && unit.front() == ' ') {
    unit.remove_prefix(1);
  }
  return Quantity{value, unit};
}

struct Unit {
  std::string_view name;
  double factor;
};

constexpr std::array<Unit, 12> kByteUnits{{{"", 1},
                                           {"B", 1},
                                           {"kB", 1e3},
                                           {"KB", 1e3},
                                           {"MB", 1e6},
                                           {"GB", 1e9},
                                           {"TB", 1e12},
                                           {"KiB", 1024.0},
                                           {"MiB", 1048576.0},
                                           {"GiB", 1073741824.0},
                                           {"TiB", 1099511627776.0},
                                           {"bytes", 1}}};
constexpr std::array<Unit, 7> kTimeUnits{
    {{"", 1}, {"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}}};

template <std::size_t N>
std::optional<double> scale(const Quantity& quantity, const std::array<Unit, N>& units) {
  for (const Unit& unit : units) {
    if (unit.name == quantity.unit) {
      return quantity.value * unit.factor;
    }
  }
  return std::nullopt;
}

constexpr double kSecondsPerYear = 366.0 * 24 * 3600;

}  // namespace

Result<Bytes> parse_bytes(std::string_view text) {
  const auto quantity = split_quantity(text);
  const auto bytes = quantity ? scale(*quantity, kByteUnits) : std::nullopt;
  if (!bytes) {
    return usage_error(
        "'{}' is not a size: write a number and one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB, "
        "as in 500MB",
        text);
  }
  if (*bytes < 1 || *bytes > 9e18) {
    return usage_error("the size '{}' is out of range: it must be 1 byte or more and below 9 EB",
                       text);
  }
  return Bytes{static_cast<std::int64_t>(std::llround(*bytes))};
}

std::string to_string(Bytes bytes) {
  constexpr std::array<std::string_view, 5> kNames{"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes.count);
  std::size_t unit = 0;
  while (std::abs(value) >= 999.5 && unit + 1 < kNames.size()) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.3g} {}", value, kNames[unit]);
}

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  const auto quantity = split_quantity(text);
  const auto duration = quantity ? scale(*quantity, kTimeUnits) : std::nullopt;
  if (!duration) {
    return usage_error("'{}' is not a duration: write a number and one of ms, s, m, h, as in 300s",
                       text);
  }
  if (*duration < 1e-9 || *duration > kSecondsPerYear) {
    return usage_error("the duration '{}' is out of range: it must be above 0 and at most a year",
                       text);
  }
  return std::chrono::nanoseconds(std::llround(*duration * 1e9));
}

std::string to_string(std::chrono::nanoseconds duration) {
  const double s = seconds(duration);
  if (std::abs(s) >= 1) {
    return fmt::format("{:.4g} s", s);
  }
  if (std::abs(s) >= 1e-3) {
    return fmt::format("{:.3g} ms", s * 1e3);
  }
  return fmt::format("{:.3g} us", s * 1e6);
}

Result<double> parse_percent(std::string_view text) {
  const auto quantity = split_quantity(text);
  if (!quantity || (!quantity->unit.empty() && quantity->unit != "%")) {
    return usage_error("'{}' is not a percentage: write a number, as in 50%", text);
  }
  if (quantity->value <= 0) {
    return usage_error("the percentage '{}' must be above 0", text);
  }
  return quantity->value;
}

}  // namespace keisei
