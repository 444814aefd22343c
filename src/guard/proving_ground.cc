#include "guard/proving_ground.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <deque>
#include <exception>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "guard/admission.h"
#include "os/attack.h"
#include "os/marked_processes.h"
#include "os/program.h"

namespace keisei::guard {

namespace asio = boost::asio;

namespace {

using namespace std::chrono_literals;

constexpr auto kFarewell = 500ms;  // for a process that is being buried
constexpr const char* kSlots = "slots";

/// The runs of one call, and what ends them all.
struct Batch {
  std::deque<RunControl> controls;
  std::vector<GuardedRun> results;
  std::size_t left = 0;
};

asio::awaitable<void> run_one(EvaluationPerformanceManager& manager, GuardedCommand command,
                              Batch& batch, std::size_t index) {
  batch.results[index] =
      co_await manager.run_evaluation_with_safeguards(std::move(command), batch.controls[index]);
}

/// When the last run is over, nothing waits for signals any more.
struct Completion {
  asio::signal_set& signals;
  Batch& batch;
  std::exception_ptr& error;
  void operator()(const std::exception_ptr& thrown) const {
    error = error ? error : thrown;
    if (--batch.left == 0) {
      signals.cancel();
    }
  }
};

void cancel(Batch& batch, int signal) {
  for (RunControl& control : batch.controls) {
    control.cancel(Outcome::Cancelled, fmt::format("interrupted by {}", strsignal(signal)));
  }
}

asio::awaitable<void> count_permits(Admission& admission, int slots, int& free) {
  std::vector<Admittance> held;
  for (int i = 0; i < slots; ++i) {
    RunControl control;
    held.push_back(co_await admission.admit(control));
    free += held.back().permit ? 1 : 0;
  }
}

struct Rethrow {
  void operator()(const std::exception_ptr& thrown) const {
    if (thrown) {
      std::rethrow_exception(thrown);
    }
  }
};

}  // namespace

Result<ProvingGround> ProvingGround::make(Options options) {
  KEISEI_TRY(program, os::find_program(os::kAttackProgram));
  auto interrupts = std::make_unique<Interrupts>();
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::temp_directory_path(error);
  if (error) {
    return fail("looking for a temporary directory: {}; set TMPDIR", error.message());
  }
  std::string pattern = (parent / "keisei-verify-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    return fail_errno(fmt::format("making a directory like {} (set TMPDIR)", pattern));
  }
  return ProvingGround(options, std::move(program), pattern, std::move(interrupts));
}

ProvingGround::ProvingGround(Options options, std::filesystem::path program,
                             std::filesystem::path directory,
                             std::unique_ptr<Interrupts> interrupts)
    : options_(options),
      program_(std::move(program)),
      directory_(std::move(directory)),
      cookie_(fmt::format("{}-{}", directory_.filename().string(), getpid())),
      interrupts_(std::move(interrupts)) {}

ProvingGround::ProvingGround(ProvingGround&& other) noexcept
    : options_(other.options_),
      program_(std::move(other.program_)),
      directory_(std::exchange(other.directory_, {})),
      cookie_(std::move(other.cookie_)),
      interrupts_(std::move(other.interrupts_)) {}

ProvingGround::~ProvingGround() {
  std::error_code ignored;  // what cannot be removed was reported as left
  if (!directory_.empty()) {
    std::filesystem::remove_all(directory_, ignored);
  }
}

GuardedCommand ProvingGround::command(std::string_view name,
                                      const std::vector<std::string>& arguments) const {
  GuardedCommand command;
  command.argv = {program_.string(), std::string(name), cookie_};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  command.environment = os::current_environment();
  std::erase_if(command.environment, [](const std::string& entry) {
    return entry.starts_with("TMPDIR=") || entry.starts_with(os::kAttackCookieVariable);
  });
  command.environment.push_back("TMPDIR=" + directory_.string());
  command.environment.push_back(fmt::format("{}={}", os::kAttackCookieVariable, cookie_));
  command.capture_stderr = true;
  command.enforcement = options_.enforcement;
  command.containment = options_.containment;
  command.without = options_.without;
  return command;
}

std::vector<GuardedRun> ProvingGround::run(std::vector<GuardedCommand> commands,
                                           const EvaluationLimits& limits) {
  asio::io_context loop(1);
  EvaluationPerformanceManager even(loop.get_executor(), limits, {}, directory_ / kSlots);
  EvaluationPerformanceManager odd(loop.get_executor(), limits, {}, directory_ / kSlots);
  Batch batch;
  batch.left = commands.size();
  batch.results.resize(commands.size());
  asio::signal_set signals(loop, SIGINT, SIGTERM);
  signals.async_wait([&batch](const boost::system::error_code& stopped, int signal) {
    if (!stopped) {
      cancel(batch, signal);
    }
  });
  std::exception_ptr error;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    batch.controls.emplace_back();
    asio::co_spawn(loop, run_one(i % 2 == 0 ? even : odd, std::move(commands[i]), batch, i),
                   Completion{signals, batch, error});
  }
  if (const std::optional<int> before = interrupts_->overheard()) {
    cancel(batch, *before);
  }
  loop.run();
  if (error) {
    std::rethrow_exception(error);
  }
  return std::move(batch.results);
}

int ProvingGround::count_survivors() const {
  const MonotonicTime deadline = MonotonicClock::now() + kFarewell;
  std::vector<pid_t> left = os::find_marked_processes(cookie_);
  while (!left.empty() && MonotonicClock::now() < deadline) {
    std::this_thread::sleep_for(5ms);
    left = os::find_marked_processes(cookie_);
  }
  return static_cast<int>(left.size());
}

void ProvingGround::end_survivors() const {
  for (const pid_t pid : os::find_marked_processes(cookie_)) {
    // The number may be somebody else's by now: look again once the descriptor holds it.
    const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (process && os::carries_mark(pid, cookie_)) {
      syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
    }
  }
}

int ProvingGround::free_slots(int slots) const {
  asio::io_context loop(1);
  Admission admission(loop.get_executor(),
                      {.max_concurrent = slots, .queue = 0, .directory = directory_ / kSlots});
  int free = 0;
  asio::co_spawn(loop, count_permits(admission, slots, free), Rethrow{});
  loop.run();
  return free;
}

int ProvingGround::take_files_left() const {
  std::error_code ignored;
  std::vector<std::filesystem::path> left;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, ignored)) {
    if (entry.path().filename() != kSlots) {
      left.push_back(entry.path());
    }
  }
  for (const std::filesystem::path& path : left) {
    std::filesystem::remove_all(path, ignored);
  }
  return static_cast<int>(left.size());
}

}  // namespace keisei::guard
