#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "guard/interrupts.h"
#include "guard/performance_manager.h"

namespace keisei::guard {

/// Where keisei-attack is run down the production road: a directory and slots of its own, and a
/// cookie by which its processes, and only those, are found. While it lives SIGINT and SIGTERM end
/// what runs on it, and not the process: see interrupted_by(). Used on one thread.
///
///   command() -> run() -> count_survivors(), free_slots(), take_files_left()
class ProvingGround {
 public:
  struct Options {
    Enforcement enforcement = Enforcement::Enabled;
    Containment containment = Containment::Best;
    Without without = {};
  };
  /// Fails where keisei-attack or a temporary directory is missing.
  [[nodiscard]] static Result<ProvingGround> make(Options options);

  ProvingGround(ProvingGround&& other) noexcept;
  ProvingGround& operator=(ProvingGround&&) = delete;
  ProvingGround(const ProvingGround&) = delete;
  ProvingGround& operator=(const ProvingGround&) = delete;
  /// Removes the directory.
  ~ProvingGround();

  /// keisei-attack NAME with its arguments. A worker, unless changed; stderr is kept.
  [[nodiscard]] GuardedCommand command(std::string_view name,
                                       const std::vector<std::string>& arguments = {}) const;
  /// Runs all at once, the even ones under one supervisor and the odd ones under another, which
  /// share the slots. Blocks until all have ended. Interrupted, also before, they are cancelled.
  [[nodiscard]] std::vector<GuardedRun> run(std::vector<GuardedCommand> commands,
                                            const EvaluationLimits& limits);
  /// The first signal since make() that asked for the end, whether anything ran or not. One that
  /// nobody was told of does what it does by default when the ground and its directory are gone.
  [[nodiscard]] std::optional<int> interrupted_by() const { return interrupts_->heard(); }

  /// How many living processes carry the cookie. A process that is about to be gone has 500 ms.
  [[nodiscard]] int count_survivors() const;
  /// Kills those.
  void end_survivors() const;
  /// How many of `slots` can be had now.
  [[nodiscard]] int free_slots(int slots) const;
  /// How many files and directories were left in the directory; they are gone then.
  [[nodiscard]] int take_files_left() const;
  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }

 private:
  ProvingGround(Options options, std::filesystem::path program, std::filesystem::path directory,
                std::unique_ptr<Interrupts> interrupts);

  Options options_;
  std::filesystem::path program_;
  std::filesystem::path directory_;  // empty after a move
  std::string cookie_;
  std::unique_ptr<Interrupts> interrupts_;
};

}  // namespace keisei::guard
