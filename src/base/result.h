#pragma once

#include <fmt/format.h>

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace keisei {

/// Who can mend it decides the exit code of a command: the world at run time (1) or the person who
/// wrote the command line or the configuration (2).
enum class ErrorKind { Runtime, Usage };

/// Something that the world can do to us. `message` says what happened, to what, and what to do.
struct Error {
  std::string message;
  ErrorKind kind = ErrorKind::Runtime;
};

template <typename T>
using Result = tl::expected<T, Error>;

template <typename... Args>
[[nodiscard]] tl::unexpected<Error> fail(fmt::format_string<Args...> text, Args&&... args) {
  return tl::unexpected<Error>(
      Error{fmt::format(text, std::forward<Args>(args)...), ErrorKind::Runtime});
}

template <typename... Args>
[[nodiscard]] tl::unexpected<Error> usage_error(fmt::format_string<Args...> text, Args&&... args) {
  return tl::unexpected<Error>(
      Error{fmt::format(text, std::forward<Args>(args)...), ErrorKind::Usage});
}

/// Fails with the current errno spelled out: «opening /x: No such file or directory».
[[nodiscard]] tl::unexpected<Error> fail_errno(std::string_view doing);

/// The same error seen from one level up: «<doing>: <message>». The kind is kept.
[[nodiscard]] tl::unexpected<Error> with_context(Error error, std::string_view doing);

}  // namespace keisei

// NOLINTBEGIN(bugprone-macro-parentheses): `name` is being declared, it cannot stand in parentheses
/// Declares `name` as the value of `expression` (a Result), or returns its error from this
/// function.
#define KEISEI_TRY(name, expression)                                          \
  auto name##_or_error = (expression);                                        \
  if (!name##_or_error) {                                                     \
    return tl::unexpected<keisei::Error>(std::move(name##_or_error).error()); \
  }                                                                           \
  auto name = std::move(name##_or_error).value()
// NOLINTEND(bugprone-macro-parentheses)

/// Returns the error of `expression` (a Result<void>) from this function, if it has one.
#define KEISEI_TRY_VOID(expression)                                            \
  do {                                                                         \
    if (auto keisei_outcome = (expression); !keisei_outcome) {                 \
      return tl::unexpected<keisei::Error>(std::move(keisei_outcome).error()); \
    }                                                                          \
  } while (false)
