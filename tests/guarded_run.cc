#include "guarded_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <thread>

#include "adversaries/cookie.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/unique_fd.h"
#include "os/marked_processes.h"
#include "os/procfs.h"
#include "os/program.h"

namespace keisei::testing_support {
namespace {

namespace asio = boost::asio;

asio::awaitable<void> run_into(guard::EvaluationPerformanceManager& manager,
                               guard::GuardedCommand command, guard::RunControl& control,
                               std::optional<guard::GuardedRun>& result) {
  result = co_await manager.run_evaluation_with_safeguards(std::move(command), control);
}

std::string content(const std::filesystem::path& path) {
  return os::read_proc(path.string()).value_or("");
}

}  // namespace

GuardedRuns::GuardedRuns() {
  std::string pattern = (std::filesystem::temp_directory_path() / "keisei-guard-XXXXXX").string();
  KEISEI_CHECK(mkdtemp(pattern.data()) != nullptr, "mkdtemp");
  directory_ = pattern;
  slots_ = directory_ / "slots";
  // Said to the children only, not to this process.
  cookie_ = fmt::format("KEISEI_TEST_COOKIE={}", directory_.filename().string());
}

GuardedRuns::~GuardedRuns() { std::filesystem::remove_all(directory_); }

std::vector<std::string> GuardedRuns::environment() const {
  std::vector<std::string> environment = os::current_environment();
  std::erase_if(environment, [](const std::string& entry) { return entry.starts_with("PATH="); });
  environment.emplace_back("PATH=/usr/bin:/bin");  // nothing that some account may not search
  environment.push_back(cookie_);
  // For the supervisor among the adversaries, beside which there is no jail.
  environment.push_back("KEISEI_LIBEXEC=" +
                        adversary_path("").parent_path().parent_path().string());
  return environment;
}

guard::GuardedCommand GuardedRuns::adversary(const std::string& name,
                                             std::vector<std::string> arguments) const {
  guard::GuardedCommand command;
  command.argv = {adversary_path(name).string()};
  command.argv.insert(command.argv.end(), std::make_move_iterator(arguments.begin()),
                      std::make_move_iterator(arguments.end()));
  command.argv.push_back(cookie_);  // an init lets nobody read its environment
  command.environment = environment();
  command.capture_stderr = true;
  return command;
}

guard::GuardedRun GuardedRuns::run(guard::GuardedCommand command,
                                   const guard::EvaluationLimits& limits,
                                   const os::GpuSources& gpu) {
  asio::io_context loop;
  guard::EvaluationPerformanceManager manager(loop.get_executor(), limits, {}, slots_,
                                              {.pressure = {}, .gpu = gpu});
  guard::RunControl control;
  std::optional<guard::GuardedRun> result;
  asio::co_spawn(loop, run_into(manager, std::move(command), control, result), asio::detached);
  loop.run();
  const int kept = result && result->record.outcome == guard::Outcome::Unkillable ? 1 : 0;
  KEISEI_CHECK(manager.running() <= kept && manager.queued() == 0, "a run is still counted");
  return std::move(result).value();
}

std::vector<pid_t> GuardedRuns::survivors() const { return os::find_marked_processes(cookie_); }

bool GuardedRuns::gone_soon() const {
  const MonotonicTime deadline = MonotonicClock::now() + std::chrono::seconds(30);
  while (!survivors().empty()) {
    if (MonotonicClock::now() > deadline) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

int GuardedRuns::free_slots(int slots) const {
  int free = 0;
  for (int i = 0; i < slots; ++i) {
    const std::filesystem::path path = slots_ / fmt::format("slot-{}.lock", i);
    const UniqueFd file(open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0644));
    free += file && flock(file.get(), LOCK_EX | LOCK_NB) == 0 ? 1 : 0;
  }
  return free;
}

std::vector<std::string> GuardedRuns::leftovers() const {
  std::vector<std::string> found;
  std::error_code ignored;  // not every host has all of them
  for (const char* place : {"/dev/shm", "/dev/mqueue", "/tmp", "/var/tmp"}) {
    for (const auto& entry : std::filesystem::directory_iterator(place, ignored)) {
      if (entry.path() != directory_ &&
          entry.path().string().find(directory_.filename()) != std::string::npos) {
        found.push_back(entry.path());
      }
    }
  }
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    if (entry.path() != slots_ && !entry.path().filename().string().starts_with("made-")) {
      found.push_back(entry.path());
    }
  }
  for (const char* kind : {"shm", "msg", "sem"}) {
    std::istringstream table(content(std::filesystem::path("/proc/sysvipc") / kind));
    for (std::string line; std::getline(table, line);) {
      if (std::atoi(line.c_str()) == adversary::ipc_key(cookie_)) {
        found.push_back(fmt::format("{} {}", kind, line));
      }
    }
  }
  return found;
}

std::filesystem::path adversary_path(const std::string& name) {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "adversaries" / name;
}

int open_descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<int>(std::distance(begin(entries), end(entries)));
}

}  // namespace keisei::testing_support
