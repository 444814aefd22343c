#include "app/guard_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "guard/performance_manager.h"
#include "os/program.h"

namespace keisei::app {
namespace {

namespace asio = boost::asio;

constexpr std::array kForwarded = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

struct Options {
  std::string timeout = "300s";
  std::string memory = "500MB";
  std::string cpu;
  std::optional<int> processes;
  std::string file_size;
  std::string slots;
  std::string report;
  bool strict = false;
  std::vector<std::string> command;
};

Result<guard::EvaluationLimits> read_limits(const Options& options) {
  guard::EvaluationLimits limits;
  KEISEI_TRY(timeout, parse_duration(options.timeout));
  KEISEI_TRY(memory, parse_bytes(options.memory));
  limits.timeout = timeout;
  limits.memory = memory;
  limits.processes = options.processes;
  if (!options.cpu.empty()) {
    KEISEI_TRY(percent, parse_percent(options.cpu));
    limits.cpu_percent = percent;
  }
  if (!options.file_size.empty()) {
    KEISEI_TRY(size, parse_bytes(options.file_size));
    limits.file_size = size;
  }
  KEISEI_TRY(host, guard::host_memory());
  KEISEI_TRY_VOID(guard::validate(limits, host));
  return limits;
}

/// In the foreground of a terminal the command stays in this process group: the terminal then sends
/// its signals to both, and the command may read from it.
bool in_foreground() { return isatty(STDIN_FILENO) == 1 && tcgetpgrp(STDIN_FILENO) == getpgrp(); }

guard::GuardedCommand guarded_command(const Options& options) {
  guard::GuardedCommand command;
  command.argv = options.command;
  command.environment = os::current_environment();
  command.profile = options.strict ? guard::Profile::Worker : guard::Profile::Command;
  command.fds = {
      {STDIN_FILENO, STDIN_FILENO}, {STDOUT_FILENO, STDOUT_FILENO}, {STDERR_FILENO, STDERR_FILENO}};
  command.keep_session = in_foreground();
  return command;
}

Result<UniqueFd> signal_descriptor() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : kForwarded) {
    sigaddset(&signals, signal);
  }
  UniqueFd fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd || sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) {
    return fail_errno("taking over the signals");
  }
  return fd;
}

bool asks_for_the_end(int signal) {
  return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT;
}

struct SignalRoute {
  asio::posix::stream_descriptor& signals;
  guard::RunControl& control;
  const guard::EvaluationPerformanceManager& manager;
  bool terminal_sends = false;      ///< its signals to the command itself
  std::optional<int> cancelled_by;  ///< while the command waited for its slot
};

/// Passes on every signal that the terminal has not sent to the command itself. While there is no
/// command yet, those that ask for the end take it out of the queue.
asio::awaitable<void> forward_signals(SignalRoute& route) {
  boost::system::error_code stopped;
  while (!stopped) {
    signalfd_siginfo info = {};
    while (::read(route.signals.native_handle(), &info, sizeof info) == ssize_t{sizeof info}) {
      const int signal = static_cast<int>(info.ssi_signo);
      if (route.manager.running() == 0 && asks_for_the_end(signal)) {
        route.cancelled_by = route.cancelled_by.value_or(signal);
        route.control.cancel(guard::Outcome::Cancelled,
                             fmt::format("{} before it was started", strsignal(signal)));
      } else if (!route.terminal_sends || info.ssi_code != SI_KERNEL) {
        route.control.forward_signal(signal);
      }
    }
    co_await route.signals.async_wait(asio::posix::descriptor_base::wait_read,
                                      asio::redirect_error(asio::use_awaitable, stopped));
  }
}

asio::awaitable<void> run_once(guard::EvaluationPerformanceManager& manager,
                               guard::GuardedCommand command, guard::RunControl& control,
                               std::optional<guard::GuardedRun>& result) {
  result = co_await manager.run_evaluation_with_safeguards(std::move(command), control);
}

/// Null where the run ended well; a library's exception is ours to report, not to lose.
struct Completion {
  asio::posix::stream_descriptor& signals;
  std::exception_ptr& error;
  void operator()(const std::exception_ptr& thrown) const {
    error = thrown;
    signals.cancel();
  }
};

struct Answer {
  guard::GuardRecord record;
  std::optional<int> cancelled_by;
};

Result<Answer> run_guarded(const Options& options) {
  KEISEI_TRY(limits, read_limits(options));
  KEISEI_TRY(signal_fd, signal_descriptor());
  asio::io_context loop(1);
  asio::posix::stream_descriptor signals(loop, signal_fd.release());
  guard::RunControl control;
  guard::EvaluationPerformanceManager manager(loop.get_executor(), limits, {}, options.slots);
  guard::GuardedCommand command = guarded_command(options);
  SignalRoute route{.signals = signals,
                    .control = control,
                    .manager = manager,
                    .terminal_sends = command.keep_session,
                    .cancelled_by = std::nullopt};
  std::optional<guard::GuardedRun> result;
  std::exception_ptr error;
  asio::co_spawn(loop, forward_signals(route), asio::detached);
  asio::co_spawn(loop, run_once(manager, std::move(command), control, result),
                 Completion{signals, error});
  loop.run();
  if (error) {
    std::rethrow_exception(error);
  }
  return Answer{.record = std::move(result->record), .cancelled_by = route.cancelled_by};
}

int exit_code(const Answer& answer) {
  const guard::GuardRecord& record = answer.record;
  // Without either its init was killed from outside, and it with that.
  const int own =
      record.exit.signal ? 128 + *record.exit.signal : record.exit.code.value_or(kGuardKilled);
  switch (record.outcome) {
    case guard::Outcome::Finished:
    case guard::Outcome::Partial:
    case guard::Outcome::Crashed:
      return own;
    case guard::Outcome::TimedOut:
      return kGuardTimedOut;
    case guard::Outcome::StartFailed:
      return record.exit.code.value_or(kGuardFailed);  // 126 or 127
    case guard::Outcome::Cancelled:
      return answer.cancelled_by ? 128 + *answer.cancelled_by : kGuardFailed;
    case guard::Outcome::OverMemory:
    case guard::Outcome::OverProcesses:
    case guard::Outcome::OverFiles:
    case guard::Outcome::ImpactExceeded:
    case guard::Outcome::PolicyViolation:
      return kGuardKilled;
    case guard::Outcome::BadReport:
    case guard::Outcome::TrainerLost:
    case guard::Outcome::SupervisorLost:
    case guard::Outcome::Unkillable:
    case guard::Outcome::Rejected:
      return kGuardFailed;
  }
  return kGuardFailed;
}

/// That stderr takes nothing is no reason to forget how the command ended.
void say(const std::string& message) {
  const std::string line = "keisei guard: " + message + "\n";
  (void)write_all(STDERR_FILENO, std::as_bytes(std::span(line)));
}

/// A command that ended by itself says what it has to say itself.
void say_why(const guard::GuardRecord& record) {
  const bool ended_by_itself = record.exit.code || record.exit.signal;
  if (record.outcome == guard::Outcome::Finished ||
      (record.outcome == guard::Outcome::Crashed && ended_by_itself)) {
    return;
  }
  say(fmt::format("{}: {}", guard::to_string(record.outcome), record.cause));
}

/// Where the record goes: into an open file, or in place of a file; nowhere where both are empty.
struct RecordSink {
  UniqueFd open;
  std::filesystem::path replaced;
};

/// Whether `path` is one of the links by which /proc shows somebody's open files.
bool names_descriptor(const std::filesystem::path& path) {
  std::error_code error;
  const auto parent = std::filesystem::canonical(path.parent_path(), error);
  return !error && parent.string().starts_with("/proc/");
}

Result<RecordSink> sink_in_place(const std::filesystem::path& path) {
  RecordSink sink;
  // A fifo waits for its reader, as in a shell.
  sink.open = UniqueFd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!sink.open) {
    return fail_errno(fmt::format("opening {} for the record", path.string()));
  }
  return sink;
}

/// The file itself is replaced in the end, not a link to it.
Result<RecordSink> sink_by_replacing(std::filesystem::path path) {
  std::error_code error;
  while (std::filesystem::is_symlink(path, error)) {  // not in a ring: stat has followed it
    if (names_descriptor(path)) {
      return sink_in_place(path);
    }
    path = path.parent_path() / std::filesystem::read_symlink(path, error);
  }
  const std::filesystem::path directory = path.has_parent_path() ? path.parent_path() : ".";
  if (access(directory.c_str(), W_OK | X_OK) != 0 ||
      (access(path.c_str(), W_OK) != 0 && errno != ENOENT)) {
    return fail_errno(fmt::format("the record cannot be written to {}", path.string()));
  }
  return RecordSink{.open = {}, .replaced = std::move(path)};
}

/// Before the run, so that no run is lost for a record that cannot be written.
Result<RecordSink> open_sink(const std::string& where) {
  if (where.empty()) {
    return RecordSink{};
  }
  if (where == "-") {
    RecordSink sink{.open = UniqueFd(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)), .replaced = {}};
    if (!sink.open) {
      return fail_errno("writing the record to stderr");
    }
    return sink;
  }
  struct stat status = {};
  const bool exists = stat(where.c_str(), &status) == 0;
  if (!exists && errno != ENOENT) {
    return fail_errno(fmt::format("the record cannot be written to {}", where));
  }
  return exists && !S_ISREG(status.st_mode) ? sink_in_place(where) : sink_by_replacing(where);
}

Result<void> write_record(const guard::GuardRecord& record, const RecordSink& sink) {
  const std::string text = guard::to_json(record) + "\n";
  if (sink.open) {
    return write_all(sink.open.get(), std::as_bytes(std::span(text)));
  }
  return sink.replaced.empty() ? Result<void>() : write_file_atomically(sink.replaced, text);
}

Result<int> run_command(const Options& options) {
  (void)signal(SIGPIPE, SIG_IGN);  // a reader who left must not decide how this ends
  const Result<RecordSink> sink = open_sink(options.report);
  if (!sink) {
    say(sink.error().message);
    return kGuardFailed;
  }
  const Result<Answer> answer = run_guarded(options);
  if (!answer) {
    say(answer.error().message);
    return kGuardFailed;
  }
  say_why(answer->record);
  const Result<void> written = write_record(answer->record, *sink);
  if (!written) {
    say("writing the record: " + written.error().message);
    return kGuardFailed;
  }
  return exit_code(*answer);
}

}  // namespace

void add_guard_command(CLI::App& root, CommandAction& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* guard = root.add_subcommand("guard", "Run any command under the safeguards");
  guard->add_option("--timeout", options->timeout, "Wall clock limit: 300s, 50ms, 5m, 1.5h")
      ->capture_default_str();
  guard->add_option("--memory", options->memory, "Private memory of the whole process tree")
      ->capture_default_str();
  guard->add_option("--cpu", options->cpu, "CPU time of the tree; 100% is one core");
  guard->add_option("--processes", options->processes, "Processes at once");
  guard->add_option("--file-size", options->file_size, "Size of each file it writes");
  guard->add_flag("--strict", options->strict,
                  "The worker profile: network, shared memory and escapes are shut too");
  guard->add_option("--slots", options->slots,
                    "Share the limit of 4 runs at once with all that name this directory");
  guard->add_option("--report", options->report, "Write the record there as JSON (-: stderr)");
  guard->add_option("command", options->command, "The command, after --")->required();
  guard->footer(
      "Exit code: the command's own; 124 timed out; 125 the guard failed or was misused;\n"
      "126, 127 the command could not be started; 137 killed for a limit or from outside; 128+n "
      "ended by signal "
      "n.\n"
      "Example: keisei guard --timeout 60s --memory 2GB --report - -- python3 evaluate.py");
  guard->callback([options, &chosen] { chosen = [options] { return run_command(*options); }; });
}

}  // namespace keisei::app
