#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace keisei {

/// Text from somebody who is not trusted, made fit for a message, a log line or a terminal: control
/// bytes become '?', and what is longer than `limit` bytes is cut and ends in «...».
[[nodiscard]] std::string printable(std::string_view text, std::size_t limit = 200);

}  // namespace keisei
