#include "app/train_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>

#include "app/evaluation_settings.h"
#include "app/options.h"
#include "app/run_directory.h"
#include "app/supervisor.h"
#include "base/file.h"
#include "guard/isolation_test.h"
#include "guard/run_cgroup.h"
#include "os/child.h"
#include "os/program.h"
#include "report/summary.h"
#include "store/run_store.h"
#include "telemetry/evaluation_channel.h"
#include "telemetry/log.h"
#include "telemetry/step_clock.h"

namespace keisei::app {
namespace {

namespace fs = std::filesystem;

constexpr int kListenFd = 3;  // in the learner
constexpr int kClockFd = 4;   // in the learner
constexpr Bytes kLogTail{2000};

struct TrainArguments {
  std::optional<std::string> config;
  std::vector<std::string> assignments;
  std::optional<fs::path> directory;
  bool resume = false;
};

/// What LibTorch reads from the environment only, and only at its start. Each of the learner's
/// workers computes on its own thread, so the libraries below must not start more. Debian's
/// OpenBLAS takes AVX2 kernels on processors that it does not know, at half the speed of its
/// AVX-512 ones.
std::vector<std::string> learner_environment() {
  std::vector<std::string> environment = os::current_environment();
  environment.emplace_back("OMP_NUM_THREADS=1");
  environment.emplace_back("OMP_WAIT_POLICY=PASSIVE");
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && ::getenv("OPENBLAS_CORETYPE") == nullptr) {
    environment.emplace_back("OPENBLAS_CORETYPE=SKYLAKEX");
  }
  return environment;
}

Result<UniqueFd> open_learner_log(const RunDirectory& run) {
  UniqueFd log(::open(run.learner_log().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!log) {
    return fail_errno(fmt::format("opening {}", run.learner_log().string()));
  }
  return log;
}

/// Starts keisei-train in its own process group: Ctrl-C reaches the supervisor only, which then
/// asks it to save. Its words go to RUN/learner.log, so that it can speak when nobody supervises
/// it.
Result<os::Child> start_learner(const RunDirectory& run, bool resume) {
  KEISEI_TRY(program, os::find_program("keisei-train"));
  KEISEI_TRY(log, open_learner_log(run));
  KEISEI_TRY(listening, telemetry::listen_in(run.path()));
  KEISEI_TRY(clock, telemetry::StepClockWriter::create());
  const UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  std::vector<std::string> argv{program.string(), run.path().string(),
                                "--listen-fd",    std::to_string(kListenFd),
                                "--clock-fd",     std::to_string(kClockFd)};
  if (resume) {
    argv.emplace_back("--resume");
  }
  return os::Child::spawn({.argv = std::move(argv),
                           .environment = learner_environment(),
                           .fds = {{nothing.get(), 0},
                                   {log.get(), 1},
                                   {log.get(), 2},
                                   {listening.get(), kListenFd},
                                   {clock.fd(), kClockFd}},
                           .own_process_group = true,
                           // Until it listens: to be told to stop is no reason to be lost.
                           .blocked = {SIGINT, SIGTERM}});
}

/// The learner that outlived its supervisor, as it says in RUN/learner.lock.
Result<UniqueFd> find_learner(const RunDirectory& run) {
  const fs::path file = run.path() / "learner.lock";
  KEISEI_TRY(text, read_file(file, Bytes{64}));
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (error != std::errc{} || pid <= 0) {
    return fail("{} names no process", file.string());
  }
  UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process) {
    return fail_errno(fmt::format("finding the learner, process {}", pid));
  }
  return process;
}

std::string log_tail(const RunDirectory& run) {
  const auto text = read_file(run.learner_log());
  if (!text || text->empty()) {
    return {};
  }
  const auto limit = static_cast<std::size_t>(kLogTail.count);
  const std::size_t from = text->size() > limit ? text->find('\n', text->size() - limit) + 1 : 0;
  return fmt::format("\nthe last words in {}:\n{}", run.learner_log().string(), text->substr(from));
}

/// The learner of this run: ours, or one that is there already.
struct Learner {
  std::optional<os::Child> child;
  UniqueFd process;  // of one that is not our child

  /// Blocks until it has ended; true if it said that all went well, as far as we can know.
  [[nodiscard]] bool wait() {
    if (child) {
      return child->wait().success();
    }
    pollfd ended{.fd = process.get(), .events = POLLIN, .revents = 0};
    while (::poll(&ended, 1, -1) < 0 && errno == EINTR) {
    }
    return true;
  }

  void signal(int number) const {
    if (child) {
      child->signal(number);
    } else {
      ::syscall(SYS_pidfd_send_signal, process.get(), number, nullptr, 0);
    }
  }
};

/// Beside a learner that is there already, and where nothing is protected, there is nothing to
/// test.
Result<guard::Isolation> test_isolation(const Options& options, const RunDirectory& run) {
  KEISEI_TRY(alive, run.learner_alive());
  const bool wanted = options.evaluation.enabled && options.evaluation.enforcement.enabled;
  guard::Isolation isolation;
  if (wanted && !alive) {
    isolation = guard::test_isolation();
  }
  if (isolation.interrupted) {
    return fail(
        "interrupted before the training began; go on with `keisei train --run {} --resume`",
        run.path().string());
  }
  return isolation;
}

Result<Learner> attach_or_start(const RunDirectory& run, bool resume) {
  KEISEI_TRY(alive, run.learner_alive());
  Learner learner;
  if (alive) {
    KEISEI_TRY(process, find_learner(run));
    fmt::print(stderr,
               "keisei: the learner of this run is alive: attached to it; it goes on with the "
               "configuration it was started with\n");
    learner.process = std::move(process);
    return learner;
  }
  (void)guard::enter_cgroup();  // now, or the learner stays in the way
  KEISEI_TRY(child, start_learner(run, resume));
  learner.child = std::move(child);
  return learner;
}

/// What a learner that did not say goodbye left behind.
Error lost_learner(Learner& learner, const RunDirectory& run, const std::string& reason) {
  std::string ended;
  if (learner.child) {
    ended = fmt::format(" ({})", os::to_string(learner.child->wait()));
  }
  return Error{fmt::format(
      "{}{}; every checkpoint that was saved is in {}; go on with `keisei train "
      "--run {} --resume`{}",
      reason, ended, (run.path() / "checkpoints").string(), run.path().string(), log_tail(run))};
}

Result<int> supervise_run(const Options& options, const RunDirectory& run, bool resume) {
  KEISEI_TRY(store, store::RunStore::open(run.store()));
  KEISEI_TRY(level, telemetry::parse_log_level(options.log.level));
  const fs::path log_file = options.log.file.empty() ? fs::path() : run.path() / options.log.file;
  KEISEI_TRY(log, telemetry::Log::open(level, log_file));
  fmt::print(stderr, "keisei: run directory {}\n", run.path().string());
  KEISEI_TRY(isolation, test_isolation(options, run));
  // From now on an interrupt means the learner too.
  auto held_back =
      std::make_unique<os::BlockedSignals>(std::initializer_list<int>{SIGINT, SIGTERM, SIGHUP});
  KEISEI_TRY(learner, attach_or_start(run, resume));
  KEISEI_TRY(channel, telemetry::ChannelReceiver::connect_in(run.path()));
  auto end = supervise(options, run,
                       {.channel = std::move(channel),
                        .send_signal = [&learner](int number) { learner.signal(number); },
                        .isolation = std::move(isolation),
                        .held_back = std::move(held_back)},
                       store, log);
  if (!end) {
    learner.signal(SIGTERM);
    (void)learner.wait();
    return tl::unexpected<Error>(std::move(end).error());
  }
  if (!end->learner_finished) {
    return tl::unexpected<Error>(lost_learner(learner, run, end->reason));
  }
  const bool succeeded = learner.wait();
  KEISEI_TRY(history, report::history_of(store, run.path().string()));
  fmt::print("{}", report::render(history, report::Format::Text));
  return succeeded ? kDone : kFailed;
}

OptionSources sources_of(const TrainArguments& arguments) {
  OptionSources sources{.file = std::nullopt,
                        .environment = process_environment(),
                        .assignments = arguments.assignments};
  if (arguments.config) {
    sources.file = *arguments.config;
  }
  return sources;
}

/// What `keisei train` was asked for, checked, before anything is made or changed.
Result<Options> checked_options(const OptionSources& sources) {
  KEISEI_TRY(options, load_options(sources));
  KEISEI_TRY_VOID(limits_from(options));
  KEISEI_TRY_VOID(settings_from(options, {}));
  return options;
}

/// What may not change from the configuration that the run has had: nothing of a learner that is
/// alive, and never the network.
Result<void> check_change(const Options& before, const Options& now, bool learner_alive) {
  if (now.training.net != before.training.net) {
    return usage_error("this run trains a {} network and cannot go on as {}: start another run",
                       before.training.net, now.training.net);
  }
  if (learner_alive && (now.training != before.training || now.checkpoints != before.checkpoints)) {
    return usage_error(
        "the learner of this run is alive and keeps its [training] and [checkpoints]: attach "
        "without "
        "changing them, or stop it first (Ctrl-C in the `keisei train` that attaches)");
  }
  return {};
}

Result<int> start_run(const TrainArguments& arguments) {
  KEISEI_TRY(options, checked_options(sources_of(arguments)));
  KEISEI_TRY(run, RunDirectory::open({.directory = arguments.directory, .resume = false}));
  KEISEI_TRY_VOID(write_file_atomically(run.config(), to_toml(options)));
  return supervise_run(options, run, false);
}

Result<int> resume_run(const TrainArguments& arguments) {
  KEISEI_TRY(run, RunDirectory::open({.directory = arguments.directory, .resume = true}));
  KEISEI_TRY(before, load_options({.file = run.config(), .environment = {}, .assignments = {}}));
  OptionSources sources = sources_of(arguments);
  if (!sources.file) {
    sources.file = run.config();
  }
  KEISEI_TRY(options, checked_options(sources));
  KEISEI_TRY(alive, run.learner_alive());
  KEISEI_TRY_VOID(check_change(before, options, alive));
  KEISEI_TRY_VOID(write_file_atomically(run.config(), to_toml(options)));
  return supervise_run(options, run, true);
}

Result<int> train(const TrainArguments& arguments) {
  return arguments.resume ? resume_run(arguments) : start_run(arguments);
}

}  // namespace

void add_train_command(CLI::App& root, CommandAction& chosen) {
  auto arguments = std::make_shared<TrainArguments>();
  CLI::App* command = root.add_subcommand(
      "train", "Train by self-play, and evaluate beside it under the safeguards.");
  command->add_option("--config", arguments->config, "configuration file (TOML)");
  command->add_option("--set", arguments->assignments, "one value, as in training.net=b4c64")
      ->allow_extra_args(false);
  command->add_option("--run", arguments->directory, "run directory; default: runs/<utc>");
  command->add_flag("--resume", arguments->resume, "go on with --run, or with the newest run");
  command->footer("Example: keisei train --set training.total_steps=250000 --run runs/first");
  command->callback([arguments, &chosen] { chosen = [arguments] { return train(*arguments); }; });
}

}  // namespace keisei::app
