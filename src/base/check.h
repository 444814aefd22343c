#pragma once

#include <fmt/format.h>

#include <string>

namespace keisei::detail {

[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& message);

}  // namespace keisei::detail

/// A bug in our own code: prints place, condition and the fmt-style message to stderr and aborts.
/// Active in every build. What the world can cause is a Result instead.
#define KEISEI_CHECK(condition, ...)                                                          \
  do {                                                                                        \
    if (!(condition)) [[unlikely]] {                                                          \
      keisei::detail::check_failed(__FILE__, __LINE__, #condition, fmt::format(__VA_ARGS__)); \
    }                                                                                         \
  } while (false)
