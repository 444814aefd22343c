#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// Numbers and words as people read them.
namespace keisei::report {

/// What was not measured.
inline constexpr std::string_view kNothing = "-";

/// 1234567 -> «1,234,567»
[[nodiscard]] std::string grouped(std::int64_t number);
/// kNothing where it is none.
[[nodiscard]] std::string number_text(double number, int decimals);
/// A terminal obeys none of it then.
[[nodiscard]] std::string without_controls(std::string text);

}  // namespace keisei::report
