#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>
#include <xxhash.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "app/command.h"
#include "app/options.h"
#include "base/clock.h"
#include "net/torch/learner.h"
#include "telemetry/evaluation_channel.h"
#include "telemetry/log.h"
#include "telemetry/step_clock.h"
#include "train/async_evaluation_callback.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

// The learner: the process that trains. `keisei train` starts it and listens; it waits for nobody.
//
//   RUN/config.toml -> Trainer -> records, notices ─> channel;  checkpoints -> RUN/checkpoints
namespace keisei::app {
namespace {

using telemetry::Phase;

constexpr std::chrono::seconds kLastWordPatience{60};

struct Arguments {
  std::filesystem::path run;
  int listen_fd = -1;
  int clock_fd = -1;
  bool resume = false;
};

/// Turns SIGTERM and SIGINT into a stop request, on a thread of its own. Made before any other
/// thread, so that all inherit the blocked signals.
class SignalWatch {
 public:
  SignalWatch() {
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGXFSZ, SIG_IGN);  // a checkpoint beyond ulimit -f is not saved; training goes on
    ::signal(SIGHUP, SIG_IGN);   // the supervisor's terminal may go; training does not
    ::sigemptyset(&signals_);
    ::sigaddset(&signals_, SIGTERM);
    ::sigaddset(&signals_, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    watcher_ = std::jthread([this] {
      int signal = 0;
      ::sigwait(&signals_, &signal);
      stop_.request_stop();
    });
  }
  /// Wakes the watcher, which takes the signal from sigwait: nobody is killed.
  ~SignalWatch() { ::pthread_kill(watcher_.native_handle(), SIGINT); }
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  [[nodiscard]] std::stop_token token() const { return stop_.get_token(); }

 private:
  sigset_t signals_{};
  std::stop_source stop_;
  std::jthread watcher_;
};

/// One learner per run directory: the lock lasts as long as the descriptor. The file names this
/// process, for a supervisor that comes later.
Result<UniqueFd> lock_run(const std::filesystem::path& run) {
  const std::filesystem::path path = run / "learner.lock";
  UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock) {
    return fail_errno(fmt::format("opening {}", path.string()));
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail("a learner trains in {} already: stop it, or attach with `keisei train --resume`",
                run.string());
  }
  if (::ftruncate(lock.get(), 0) != 0 || ::dprintf(lock.get(), "%d\n", ::getpid()) < 0) {
    return fail_errno(fmt::format("writing {}", path.string()));
  }
  return lock;
}

train::TrainerSettings settings_of(const TrainingOptions& options) {
  return {.self_play = {.games = static_cast<int>(options.environments),
                        .max_plies = static_cast<int>(options.max_plies),
                        .seed = static_cast<std::uint64_t>(options.seed)},
          .rollout_plies = static_cast<int>(options.rollout_steps),
          .epochs = static_cast<int>(options.epochs),
          .minibatch = static_cast<int>(options.minibatch),
          .micro_batch = static_cast<int>(options.micro_batch),
          .workers = static_cast<int>(options.workers),
          .gae = {.gamma = static_cast<float>(options.gamma),
                  .lambda = static_cast<float>(options.gae_lambda)},
          .clip = options.clip,
          .value_coefficient = options.value_coefficient,
          .gradient_clip = options.gradient_clip,
          .kl_stop = options.kl_stop,
          .schedule = {.learning_rate_start = options.learning_rate,
                       .learning_rate_end = options.final_learning_rate,
                       .entropy_start = options.entropy_start,
                       .entropy_end = options.entropy_end,
                       .total_steps = options.total_steps}};
}

std::string hash_of(const std::string& text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

Result<std::unique_ptr<net::TorchLearner>> make_learner(const TrainingOptions& options) {
  KEISEI_TRY(spec, net::parse_net_spec(options.net));
  return net::TorchLearner::create(
      spec, net::initial_weights(spec, static_cast<std::uint64_t>(options.seed)),
      static_cast<int>(options.workers),
      options.device == "cuda" ? net::Device::Cuda : net::Device::Cpu);
}

/// What the process is made of. The training thread, which is the main one, does everything here.
class LearnerProcess {
 public:
  struct Parts {
    const Options& options;
    const std::filesystem::path& run;
    net::Learner& learner;
    telemetry::StepClockWriter& clock;
    telemetry::ChannelSender& channel;
    telemetry::Log& log;
  };

  explicit LearnerProcess(const Parts& parts)
      : parts_(parts),
        callback_(parts.channel, parts.options.evaluation.interval_steps),
        config_hash_(hash_of(to_toml(parts.options))),
        checkpoints_(parts.run / "checkpoints", parts.options.checkpoints.keep),
        trainer_(settings_of(parts.options.training),
                 {.learner = parts.learner,
                  .clock = &parts.clock,
                  .callbacks = parts.options.evaluation.enabled
                                   ? std::vector<train::Callback*>{&callback_}
                                   : std::vector<train::Callback*>{}}) {
    trainer_.meter().on_tick([this] { look_for_supervisor(); });
  }
  LearnerProcess(const LearnerProcess&) = delete;
  LearnerProcess& operator=(const LearnerProcess&) = delete;

  Result<void> resume() {
    std::vector<std::string> set_aside;
    const auto resumed = resume_newest(checkpoints_, parts_.learner, trainer_, set_aside);
    for (const std::string& message : set_aside) {
      parts_.log.warning("setting aside a checkpoint as *.unreadable: {}", message);
    }
    if (!resumed) {
      return tl::unexpected<Error>(resumed.error());
    }
    if (!*resumed) {
      parts_.log.info("no checkpoint to resume from: starting with fresh weights");
      return {};
    }
    if ((*resumed)->config_hash != config_hash_) {
      parts_.log.warning(
          "the configuration has changed since {} was saved: training goes on with "
          "{}",
          (*resumed)->path.string(), (parts_.run / "config.toml").string());
    }
    saved_step_ = trainer_.counters().step;
    parts_.log.info("resumed from {} at step {}", (*resumed)->path.string(), *saved_step_);
    return {};
  }

  /// Trains until all steps are done or `stop` is requested; true when all is saved. After a
  /// failure nothing is saved: the last checkpoint is the place to go on from.
  Result<bool> run(const std::stop_token& stop) {
    const std::int64_t total = parts_.options.training.total_steps;
    while (trainer_.counters().step < total && !stop.stop_requested()) {
      const std::int64_t before = trainer_.counters().step;
      KEISEI_TRY(record, trainer_.update(stop));
      if (!record) {
        break;
      }
      if (const std::optional<Error> failure = callback_.take_failure()) {
        parts_.log.error("no evaluation at step {}: {}", record->step, failure->message);
      }
      record->snapshots_skipped = static_cast<std::int64_t>(callback_.skipped());
      parts_.channel.send(*record);
      if (train::crosses_multiple(before, record->step,
                                  parts_.options.checkpoints.interval_steps)) {
        save();
      }
    }
    // A supervisor that has only just come is told too, of the checkpoint and of the end.
    look_for_supervisor_now();
    save();
    look_for_supervisor_now();
    const bool done = trainer_.counters().step >= total;
    parts_.channel.send(telemetry::FinishedRecord{.step = trainer_.counters().step,
                                                  .reason = done ? "all steps done" : "stopped"});
    parts_.clock.tick(Phase::Idle, trainer_.meter().plies());
    parts_.channel.send_rest(kLastWordPatience);
    return saved_step_ == trainer_.counters().step;
  }

  [[nodiscard]] std::int64_t step() const { return trainer_.counters().step; }

 private:
  /// At most five times a second: takes a supervisor that waits, and says when one is gone.
  void look_for_supervisor() {
    const MonotonicTime now = MonotonicClock::now();
    if (now - last_look_ >= std::chrono::milliseconds(200)) {
      last_look_ = now;
      look_for_supervisor_now();
    }
  }

  void look_for_supervisor_now() {
    parts_.channel.poll_accept({.pid = ::getpid(),
                                .step = trainer_.counters().step,
                                .net = to_string(parts_.learner.spec())});
    const bool connected = parts_.channel.connected();
    if (was_connected_ && !connected) {
      parts_.log.warning(
          "the supervisor is gone: training goes on without evaluations; attach a new one with "
          "`keisei train --run {} --resume`",
          parts_.run.string());
    }
    was_connected_ = connected;
  }

  Result<std::filesystem::path> write_checkpoint(std::int64_t step) {
    KEISEI_TRY(bytes, encode_checkpoint(parts_.learner, trainer_, config_hash_));
    return checkpoints_.save(step, bytes);
  }

  void save() {
    const std::int64_t step = trainer_.counters().step;
    if (saved_step_ == step) {
      return;
    }
    trainer_.meter().tick(Phase::Checkpoint);
    const MonotonicTime begin = MonotonicClock::now();
    const Result<std::filesystem::path> saved = write_checkpoint(step);
    telemetry::CheckpointRecord record{.step = step,
                                       .path = checkpoints_.path_of(step).string(),
                                       .seconds = seconds(MonotonicClock::now() - begin)};
    if (saved) {
      saved_step_ = step;
    } else {
      record.error = saved.error().message;
      parts_.log.error("{}; older checkpoints are as they were, and training goes on",
                       record.error);
    }
    parts_.channel.send(record);
  }

  Parts parts_;
  train::AsyncEvaluationCallback callback_;
  std::string config_hash_;
  train::CheckpointDirectory checkpoints_;
  train::Trainer trainer_;
  std::optional<std::int64_t> saved_step_;
  MonotonicTime last_look_;
  bool was_connected_ = false;
};

Result<telemetry::StepClockWriter> open_clock(int fd) {
  return fd >= 0 ? telemetry::StepClockWriter::attach(UniqueFd(fd))
                 : telemetry::StepClockWriter::create();
}

Result<UniqueFd> open_listening(const Arguments& arguments) {
  if (arguments.listen_fd < 0) {
    return telemetry::listen_in(arguments.run);
  }
  if (::fcntl(arguments.listen_fd, F_SETFD, FD_CLOEXEC) != 0) {
    return fail_errno(fmt::format("--listen-fd {}", arguments.listen_fd));
  }
  return UniqueFd(arguments.listen_fd);
}

Result<int> train_in(const Arguments& arguments, const std::stop_token& stop) {
  KEISEI_TRY(
      options,
      load_options({.file = arguments.run / "config.toml", .environment = {}, .assignments = {}}));
  KEISEI_TRY(level, telemetry::parse_log_level(options.log.level));
  KEISEI_TRY(log, telemetry::Log::open(level, {}));
  KEISEI_TRY(lock, lock_run(arguments.run));
  KEISEI_TRY(clock, open_clock(arguments.clock_fd));
  KEISEI_TRY(listening, open_listening(arguments));
  telemetry::ChannelSender channel(std::move(listening), clock.fd());
  const auto failed = [&channel](Error error, std::int64_t step) -> Result<int> {
    channel.send(telemetry::FinishedRecord{.step = step, .reason = error.message});
    channel.send_rest(kLastWordPatience);
    return tl::unexpected<Error>(std::move(error));
  };
  Result<std::unique_ptr<net::TorchLearner>> learner = make_learner(options.training);
  if (!learner) {
    return failed(std::move(learner).error(), 0);
  }
  channel.poll_accept({.pid = ::getpid(), .step = 0, .net = options.training.net});
  LearnerProcess process({.options = options,
                          .run = arguments.run,
                          .learner = **learner,
                          .clock = clock,
                          .channel = channel,
                          .log = log});
  if (arguments.resume) {
    if (Result<void> resumed = process.resume(); !resumed) {
      return failed(std::move(resumed).error(), 0);
    }
  }
  Result<bool> saved = process.run(stop);
  std::error_code ignored;  // a socket file that stays is replaced by the next learner
  std::filesystem::remove(arguments.run / telemetry::kLearnerSocketName, ignored);
  if (!saved) {
    return failed(std::move(saved).error(), process.step());
  }
  return *saved ? kDone : kFailed;
}

int train_main(int argc, char** argv) {
  Arguments arguments;
  CLI::App parser("The learner of a run; `keisei train` starts it.", "keisei-train");
  parser.add_option("RUN", arguments.run, "run directory with a config.toml")->required();
  parser.add_option("--listen-fd", arguments.listen_fd,
                    "inherited listening socket for the supervisor (default: RUN/learner.sock)");
  parser.add_option("--clock-fd", arguments.clock_fd, "inherited memory of the step clock");
  parser.add_flag("--resume", arguments.resume, "go on from the newest checkpoint");
  try {
    parser.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return parser.exit(error) == 0 ? kDone : kUsage;
  }
  const SignalWatch signals;
  const Result<int> code = train_in(arguments, signals.token());
  if (!code) {
    fmt::print(stderr, "keisei-train: {}\n", code.error().message);
    return code.error().kind == ErrorKind::Usage ? kUsage : kFailed;
  }
  return *code;
}

}  // namespace
}  // namespace keisei::app

int main(int argc, char** argv) { return keisei::app::train_main(argc, argv); }
