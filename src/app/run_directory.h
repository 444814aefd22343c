#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace keisei::app {

/// How `keisei train` comes to its run directory.
struct RunRequest {
  std::optional<std::filesystem::path> directory;  // --run
  bool resume = false;                             // --resume
};

/// A run directory that this process supervises: nobody else does while it lives.
class RunDirectory {
 public:
  /// A new run: `directory`, or runs/<utc> below the current directory. With `resume`: `directory`,
  /// or the newest below runs/. Makes what is missing and takes RUN/supervisor.lock. Fails where a
  /// new run would go over an old one, where there is nothing to resume, and where another process
  /// supervises the run; the message says what to do.
  [[nodiscard]] static Result<RunDirectory> open(const RunRequest& request);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }  // absolute
  [[nodiscard]] std::filesystem::path config() const { return path_ / "config.toml"; }
  [[nodiscard]] std::filesystem::path store() const { return path_ / "run.db"; }
  [[nodiscard]] std::filesystem::path slots() const { return path_ / "slots"; }
  [[nodiscard]] std::filesystem::path learner_log() const { return path_ / "learner.log"; }

  /// Whether a learner of this run is alive: it holds RUN/learner.lock.
  [[nodiscard]] Result<bool> learner_alive() const;

 private:
  RunDirectory(std::filesystem::path path, UniqueFd lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::filesystem::path path_;
  UniqueFd lock_;  // flock on supervisor.lock, released when this process ends, however it ends
};

}  // namespace keisei::app
