#pragma once

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "guard/performance_manager.h"

namespace keisei::testing_support {

/// Runs commands down the production road with a cookie in their environment and arguments, so that
/// whatever is left of them can be found.
class GuardedRuns {
 public:
  GuardedRuns();
  ~GuardedRuns();
  GuardedRuns(const GuardedRuns&) = delete;
  GuardedRuns& operator=(const GuardedRuns&) = delete;

  /// tests/adversaries/NAME with its arguments and the cookie, profile worker, stderr kept.
  [[nodiscard]] guard::GuardedCommand adversary(const std::string& name,
                                                std::vector<std::string> arguments = {}) const;
  [[nodiscard]] guard::GuardedRun run(guard::GuardedCommand command,
                                      const guard::EvaluationLimits& limits,
                                      const os::GpuSources& gpu = {});

  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }
  [[nodiscard]] const std::filesystem::path& slots() const { return slots_; }
  [[nodiscard]] std::vector<std::string> environment() const;
  [[nodiscard]] const std::string& cookie() const { return cookie_; }

  /// Living processes that carry the cookie.
  [[nodiscard]] std::vector<pid_t> survivors() const;
  /// Whether all of them are gone within half a minute; for ends that nobody can wait for.
  [[nodiscard]] bool gone_soon() const;
  /// What carries its name, or lies in its directory beside the slots and made-*: files, System V
  /// objects.
  [[nodiscard]] std::vector<std::string> leftovers() const;
  /// How many of `slots` can be locked now.
  [[nodiscard]] int free_slots(int slots) const;

 private:
  std::string cookie_;
  std::filesystem::path directory_;
  std::filesystem::path slots_;
};

[[nodiscard]] std::filesystem::path adversary_path(const std::string& name);
[[nodiscard]] int open_descriptors();

}  // namespace keisei::testing_support
