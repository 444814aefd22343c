#pragma once

#include <optional>
#include <string>

// What those who start processes and those who judge their ends have in common.
namespace keisei::os {

/// `fd` here becomes `child_fd` there.
struct FdMapping {
  int fd = -1;
  int child_fd = -1;
};

/// How a process ended.
struct ExitStatus {
  std::optional<int> code = std::nullopt;    ///< by itself
  std::optional<int> signal = std::nullopt;  ///< by a signal

  [[nodiscard]] bool success() const { return code == 0; }
  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};
/// «exit code 3», «signal 9 (Killed)».
[[nodiscard]] std::string to_string(const ExitStatus& status);

}  // namespace keisei::os
