#include "app/run_directory.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/clock.h"

namespace keisei::app {
namespace {

namespace fs = std::filesystem;

/// One that cannot be looked into is none.
bool is_run(const fs::path& directory) {
  std::error_code unreadable;
  return fs::exists(directory / "config.toml", unreadable);
}

Result<fs::path> newest_run(const fs::path& runs) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(runs, error)) {
    if (is_run(entry.path())) {
      found.push_back(entry.path());
    }
  }
  if (found.empty()) {
    return usage_error("nothing to resume: there is no run below {}; name one with --run",
                       runs.string());
  }
  return *std::ranges::max_element(found, {}, [](const fs::path& run) {
    std::error_code ignored;
    return fs::last_write_time(run / "config.toml", ignored);
  });
}

Result<fs::path> choose(const RunRequest& request) {
  if (request.resume && !request.directory) {
    return newest_run("runs");
  }
  const fs::path directory =
      request.directory.value_or(fs::path("runs") / compact_utc(std::chrono::system_clock::now()));
  if (request.resume && !is_run(directory)) {
    return usage_error("nothing to resume: {} is no run directory (it has no config.toml)",
                       directory.string());
  }
  if (!request.resume && is_run(directory)) {
    return usage_error("{} holds a run already: add --resume to go on with it, or name another",
                       directory.string());
  }
  return directory;
}

Result<UniqueFd> lock_file(const fs::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd) {
    return fail_errno(fmt::format("opening {}", path.string()));
  }
  return fd;
}

}  // namespace

Result<RunDirectory> RunDirectory::open(const RunRequest& request) {
  KEISEI_TRY(chosen, choose(request));
  std::error_code error;
  const fs::path path = fs::absolute(chosen, error).lexically_normal();
  for (const char* part : {"checkpoints", "games", "evaluations", "slots"}) {
    fs::create_directories(path / part, error);
    if (error) {
      return fail("creating {}: {}", (path / part).string(), error.message());
    }
  }
  KEISEI_TRY(lock, lock_file(path / "supervisor.lock"));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail("another `keisei train` supervises {}: stop it first, or name another --run",
                path.string());
  }
  return RunDirectory(path, std::move(lock));
}

Result<bool> RunDirectory::learner_alive() const {
  KEISEI_TRY(lock, lock_file(path_ / "learner.lock"));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) {
    return false;  // and the lock goes with the descriptor
  }
  if (errno != EWOULDBLOCK) {
    return fail_errno(fmt::format("locking {}", (path_ / "learner.lock").string()));
  }
  return true;
}

}  // namespace keisei::app
