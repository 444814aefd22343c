#include "app/guard_command.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "app/guard_options.h"
#include "app/guarded_training.h"
#include "app/job_control.h"
#include "app/record_sink.h"
#include "base/file.h"
#include "guard/performance_manager.h"
#include "os/front.h"
#include "os/program.h"
#include "os/terminal.h"

namespace keisei::app {
namespace {

namespace asio = boost::asio;

/// That stderr takes nothing is no reason to forget how the command ended.
void say(const std::string& message) {
  const std::string line = "keisei guard: " + message + "\n";
  (void)write_all(STDERR_FILENO, std::as_bytes(std::span(line)));
}

/// Whether the record goes there, as with `--report >(...)`: nobody else is to write to it.
bool is_for_record(int fd, const std::string& report) {
  return report == fmt::format("/dev/fd/{}", fd) || report == fmt::format("/proc/self/fd/{}", fd);
}

/// What the command would have without the guard: a shell's `<(...)`, the jobserver of make.
void pass_on(const std::vector<int>& descriptors, const std::string& report,
             guard::GuardedCommand& command) {
  for (const int fd : descriptors) {
    if (is_for_record(fd, report)) {
      continue;
    }
    if (fd > guard::kLargestChildFd || command.fds.size() == guard::kMostInheritedFds) {
      say(fmt::format("descriptor {} is not passed on: up to number {} the first {} above 2 are",
                      fd, guard::kLargestChildFd, guard::kMostInheritedFds - 3));
      return;
    }
    command.fds.push_back({fd, fd});
  }
}

guard::GuardedCommand guarded_command(const GuardOptions& options,
                                      const std::vector<int>& inherited) {
  guard::GuardedCommand command;
  command.argv = options.command;
  command.environment = os::current_environment();
  command.profile = options.strict ? guard::Profile::Worker : guard::Profile::Command;
  command.fds = {
      {STDIN_FILENO, STDIN_FILENO}, {STDOUT_FILENO, STDOUT_FILENO}, {STDERR_FILENO, STDERR_FILENO}};
  if (!options.strict) {
    pass_on(inherited, options.report, command);
  }
  command.pressure = guard::PressureResponse::Shortage;
  return command;
}

bool asks_for_the_end(int signal) {
  return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT;
}

struct SignalRoute {
  asio::posix::stream_descriptor& signals;
  guard::RunControl& control;
  const guard::EvaluationPerformanceManager& manager;
  std::optional<JobControl>& job;
  std::optional<int> cancelled_by;  ///< while the command waited for its slot
};

void route_signal(SignalRoute& route, os::PassedSignal passed) {
  const bool running = route.manager.running() > 0;
  if (!running && asks_for_the_end(passed.signal)) {
    // There is no command yet: out of the queue.
    route.cancelled_by = route.cancelled_by.value_or(passed.signal);
    route.control.cancel(guard::Outcome::Cancelled,
                         fmt::format("{} before it was started", strsignal(passed.signal)));
  } else if (route.job) {
    route.job->pass(passed, running);
  } else if (passed.origin == os::SignalOrigin::Terminal) {
    route.control.forward_to_group(passed.signal);
  } else {
    route.control.forward_signal(passed.signal);
  }
}

asio::awaitable<void> forward_signals(SignalRoute& route) {
  boost::system::error_code stopped;
  while (!stopped) {
    while (const auto passed = os::next_signal(route.signals.native_handle())) {
      route_signal(route, *passed);
    }
    co_await route.signals.async_wait(asio::posix::descriptor_base::wait_read,
                                      asio::redirect_error(asio::use_awaitable, stopped));
  }
}

struct Run {
  guard::EvaluationPerformanceManager& manager;
  guard::RunControl& control;
  GuardedTraining* training;  // may be null
  std::optional<guard::GuardedRun> result;
};

/// The training's turn before the slot: whoever has a slot waits for no other guard.
asio::awaitable<void> run_once(Run& run, guard::GuardedCommand command) {
  const MonotonicTime asked = MonotonicClock::now();
  if (run.training != nullptr) {
    co_await run.training->take_turn();
  }
  const auto waited = MonotonicClock::now() - asked;
  run.result = co_await run.manager.run_evaluation_with_safeguards(std::move(command), run.control);
  run.result->record.queue_ms += milliseconds(waited);
}

/// Null where the run ended well; a library's exception is ours to report, not to lose.
struct Completion {
  asio::posix::stream_descriptor& signals;
  std::exception_ptr& error;
  GuardedTraining* training;  // may be null
  void operator()(const std::exception_ptr& thrown) const {
    error = thrown;
    signals.cancel();
    if (training != nullptr) {
      training->stop();
    }
  }
};

struct Answer {
  guard::GuardRecord record;
  std::optional<int> cancelled_by;
};

/// The run's surroundings: the limits, what the guard was given, the training, and where there is a
/// terminal, the shell's job.
struct Surroundings {
  guard::EvaluationLimits limits;
  std::vector<int> inherited;  ///< descriptors above 2
  std::optional<double> impact_limit;
  std::optional<TrainingSource> training;
  std::optional<os::Front> front;
  std::optional<os::Terminal> terminal;
};

bool ended_by_itself(const guard::GuardRecord& record) {
  return (record.outcome == guard::Outcome::Finished ||
          record.outcome == guard::Outcome::Crashed) &&
         record.exit.code;
}

Result<Answer> run_guarded(const GuardOptions& options, Surroundings surroundings) {
  KEISEI_TRY(signal_fd, os::signal_descriptor());
  asio::io_context loop(1);
  asio::posix::stream_descriptor signals(loop, signal_fd.release());
  guard::RunControl control;
  std::unique_ptr<GuardedTraining> training;
  if (surroundings.training) {
    KEISEI_TRY(watched,
               GuardedTraining::watch(loop.get_executor(), std::move(*surroundings.training),
                                      {.limit = surroundings.impact_limit, .say = say}, control));
    training = std::move(watched);
  }
  guard::EvaluationPerformanceSLA sla;
  sla.training_impact_percent =
      surroundings.impact_limit ? *surroundings.impact_limit * 100 : sla.training_impact_percent;
  guard::EvaluationPerformanceManager manager(
      loop.get_executor(), surroundings.limits, sla, options.slots,
      guard::HostView{
          .pressure = {}, .gpu = {}, .training = training ? training->governor() : nullptr});
  guard::GuardedCommand command = guarded_command(options, surroundings.inherited);
  std::optional<JobControl> job;
  if (surroundings.front) {
    job.emplace(*surroundings.front, std::move(*surroundings.terminal), control);
    command.session = job->session();
  }
  SignalRoute route{.signals = signals,
                    .control = control,
                    .manager = manager,
                    .job = job,
                    .cancelled_by = std::nullopt};
  Run run{.manager = manager, .control = control, .training = training.get(), .result = {}};
  std::exception_ptr error;
  asio::co_spawn(loop, forward_signals(route), asio::detached);
  asio::co_spawn(loop, run_once(run, std::move(command)),
                 Completion{signals, error, training.get()});
  loop.run();
  if (job) {
    job->finish(!error && ended_by_itself(run.result->record));
  }
  if (error) {
    std::rethrow_exception(error);
  }
  if (training && training->governor() != nullptr && training->governor()->has_watched()) {
    run.result->record.certificate = training->governor()->certificate();
  }
  return Answer{.record = std::move(run.result->record), .cancelled_by = route.cancelled_by};
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

/// A command that ended by itself says what it has to say itself.
void say_why(const guard::GuardRecord& record) {
  const bool own_end = record.exit.code || record.exit.signal;
  if (record.outcome == guard::Outcome::Finished ||
      (record.outcome == guard::Outcome::Crashed && own_end)) {
    return;
  }
  say(fmt::format("{}: {}", guard::to_string(record.outcome), record.cause));
}

Result<guard::EvaluationLimits> checked_limits(const GuardOptions& options) {
  KEISEI_TRY(host, guard::host_memory());
  return limits_of(options, host);
}

Result<int> run_and_record(const GuardOptions& options) {
  KEISEI_TRY(inherited, os::inherited_descriptors());
  KEISEI_TRY(limits, checked_limits(options));
  KEISEI_TRY(impact_limit, impact_limit_of(options));
  std::optional<TrainingSource> training;
  if (options.training) {
    KEISEI_TRY(source, open_training(*options.training));
    training = std::move(source);
  }
  KEISEI_TRY_VOID(check_slots(options.slots));
  KEISEI_TRY(sink, RecordSink::open(options.report));
  Surroundings surroundings{.limits = limits,
                            .inherited = std::move(inherited),
                            .impact_limit = impact_limit,
                            .training = std::move(training),
                            .front = {},
                            .terminal = {}};
  // A strict command gets no terminal: it could type into it for its user.
  surroundings.terminal = options.strict ? std::nullopt : os::Terminal::controlling();
  if (surroundings.terminal) {
    KEISEI_TRY(split, os::split_behind_front());
    if (split.exit_code) {
      return *split.exit_code;
    }
    surroundings.front = split.front;
  }
  KEISEI_TRY(answer, run_guarded(options, std::move(surroundings)));
  say_why(answer.record);
  if (const Result<void> written = sink.write(answer.record); !written) {
    return with_context(written.error(), "writing the record");
  }
  return exit_code(answer);
}

/// Whatever fails in the guard is 125 here; 1 and 2 are the command's own.
Result<int> run_command(const GuardOptions& options) {
  (void)signal(SIGPIPE, SIG_IGN);  // a reader who left must not decide how this ends
  const Result<int> code = run_and_record(options);
  if (!code) {
    say(code.error().message);
  }
  return code.value_or(kGuardFailed);
}

}  // namespace

void add_guard_command(CLI::App& root, CommandAction& chosen) {
  auto options = std::make_shared<GuardOptions>();
  CLI::App* guard = root.add_subcommand("guard", "Run any command under the safeguards");
  guard->add_option("--timeout", options->timeout, "Wall clock limit: 300s, 50ms, 5m, 1.5h")
      ->capture_default_str();
  guard->add_option("--memory", options->memory, "Private memory of the whole process tree")
      ->capture_default_str();
  guard->add_option("--cpu", options->cpu, "CPU time of the tree; 100% is one core");
  guard->add_option("--processes", options->processes, "Processes at once");
  guard->add_option("--file-size", options->file_size, "Size of each file it writes");
  guard->add_option("--training", options->training,
                    "The training beside it: a progress file (keisei_progress.h) or a process id; "
                    "the command ends with it");
  guard->add_option("--impact", options->impact,
                    "How much of that training it may cost (default: 5%)");
  guard->add_flag("--strict", options->strict,
                  "The worker profile: network, IPC objects and escapes are shut too");
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
