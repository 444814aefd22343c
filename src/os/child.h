#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "os/process.h"

namespace keisei::os {

struct ChildSpec {
  std::vector<std::string> argv;         ///< argv[0] is searched in PATH when it has no slash
  std::vector<std::string> environment;  ///< the whole environment, as NAME=value
  std::vector<FdMapping> fds;  ///< 0, 1, 2 are inherited when not named; all others are closed
  bool own_process_group = false;
  std::vector<int> blocked = {};  ///< signals that wait until the program wants them
};

/// A child without a jail, for programs of ours that are trusted (the learner) and for engines
/// inside a jailed worker. Not thread-safe.
class Child {
 public:
  /// By posix_spawn, so it is safe beside threads. Fails where the program cannot be started.
  [[nodiscard]] static Result<Child> spawn(const ChildSpec& spec);

  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  /// Kills and reaps a child that was not waited for.
  ~Child();

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Readable (poll) once the child has ended.
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  /// Nothing happens where the child has ended. To its process group where it has its own.
  void signal(int number) const;
  /// Blocks until the end. The same answer again when asked again.
  [[nodiscard]] ExitStatus wait();
  /// Nothing while it runs. Does not block.
  [[nodiscard]] std::optional<ExitStatus> poll();

 private:
  Child(pid_t pid, UniqueFd pidfd, bool own_group)
      : pid_(pid), own_group_(own_group), pidfd_(std::move(pidfd)) {}
  void end();

  pid_t pid_ = -1;
  bool own_group_ = false;
  UniqueFd pidfd_;
  std::optional<ExitStatus> status_;
};

}  // namespace keisei::os
