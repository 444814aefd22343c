#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "os/child.h"

namespace keisei::tests {

/// A directory of its own for one test, below the system's temporary directory; goes with it.
class TestDirectory {
 public:
  TestDirectory();
  ~TestDirectory();
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// One of the project's programs, really running. Its output goes to files, so that nothing blocks.
/// Killed and reaped when it goes out of scope.
class Program {
 public:
  /// Starts `name` from the build with `arguments`. Its output is kept in files in `directory`;
  /// `out` replaces the one for stdout.
  Program(const std::string& name, std::vector<std::string> arguments,
          const std::filesystem::path& directory,
          const std::optional<std::filesystem::path>& out = std::nullopt);

  /// Waits for its end; nothing where it still runs after `limit`.
  [[nodiscard]] std::optional<os::ExitStatus> wait(std::chrono::seconds limit);
  [[nodiscard]] int pid() const { return child_->pid(); }
  void signal(int number) const { child_->signal(number); }
  [[nodiscard]] std::string out() const;  // stdout so far
  [[nodiscard]] std::string err() const;  // stderr so far

  /// Waits until stderr contains `text`; false when it does not within `limit`.
  [[nodiscard]] bool wait_for_err(const std::string& text, std::chrono::seconds limit) const;

 private:
  std::filesystem::path out_;
  std::filesystem::path err_;
  std::optional<os::Child> child_;
};

/// Processes whose command line or executable contains `text`, zombies excluded.
[[nodiscard]] std::vector<int> processes_with(const std::string& text);

/// Waits until `done` is true; false when it is not within `limit`.
template <typename Condition>
[[nodiscard]] bool wait_until(Condition done, std::chrono::seconds limit);

void pause_briefly();

template <typename Condition>
bool wait_until(Condition done, std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    pause_briefly();
  }
  return true;
}

}  // namespace keisei::tests
