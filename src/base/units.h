#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace keisei {

/// An amount of memory or storage. MB is 10^6 bytes, MiB is 2^20.
struct Bytes {
  std::int64_t count = 0;

  friend constexpr auto operator<=>(Bytes, Bytes) = default;
  friend constexpr Bytes operator+(Bytes a, Bytes b) { return {a.count + b.count}; }
  friend constexpr Bytes operator-(Bytes a, Bytes b) { return {a.count - b.count}; }
};

[[nodiscard]] constexpr Bytes megabytes(std::int64_t mb) { return {mb * 1'000'000}; }
[[nodiscard]] constexpr double to_megabytes(Bytes bytes) {
  return static_cast<double>(bytes.count) / 1e6;
}

/// Reads «500MB», «64MiB», «2 GB», «4096B», «4096»; units B, kB, KB, MB, GB, TB, KiB, MiB, GiB,
/// TiB. Fails (Usage) on anything else, on a negative or zero amount and on overflow.
[[nodiscard]] Result<Bytes> parse_bytes(std::string_view text);

/// «500 MB», «1.5 GB», «12 B»: three significant digits, decimal units.
[[nodiscard]] std::string to_string(Bytes bytes);

/// Reads «300s», «50ms», «5m», «1.5h» or a bare number of seconds. Fails (Usage) on anything else
/// and on zero, negative or longer than a year.
[[nodiscard]] Result<std::chrono::nanoseconds> parse_duration(std::string_view text);

/// «300 s», «2.5 s», «50 ms»: for people.
[[nodiscard]] std::string to_string(std::chrono::nanoseconds duration);

/// Reads «100%» or «100» as 100.0. Fails (Usage) on anything else and on zero or negative.
[[nodiscard]] Result<double> parse_percent(std::string_view text);

}  // namespace keisei
