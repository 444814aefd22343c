// What evaluations cost a training that uses every core, by the certificate and by an outside
// check.
//
//   impact_real [--seconds S] [--baseline S] [--trainer-threads N] [--case NAME]...
//
// Cases, each requested again and again without a pause, down the production road:
//   evaluation   20 games of a b2c32 network against `random`, keisei-worker
//   spin         two threads that burn, deaf to signals
//   stream       one thread that streams through 64 MB
//   session      two processes in sessions of their own (scheduler groups of full weight)
//   goodhart     rests after each stop and start, and burns otherwise
//   unguarded    the two burning threads without the training's protection
//   minute       the evaluation, requested once a minute
//   one          one burning thread; for --trainer-threads 1, which leaves it a core
// Per case: S seconds with evaluations, between two halves of a baseline without, each beside a
// fresh training. Prints the loss by the two rates, the certificate, how much CPU time the
// evaluations had (in the second half too), and what watching cost. Exit 3 where a guarded case
// loses 5 % or more.
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/check.h"
#include "busy_trainer.h"
#include "eval/evaluation_manager.h"
#include "guard/impact_certificate.h"
#include "guard/training_governor.h"
#include "net/snapshot.h"
#include "net/spec.h"
#include "os/program.h"
#include "telemetry/sink.h"

namespace {

using namespace keisei;
using namespace std::chrono_literals;
namespace asio = boost::asio;

struct Settings {
  double seconds = 600;
  double baseline = 120;  // seconds
  int trainer_threads = static_cast<int>(std::thread::hardware_concurrency());
  std::vector<std::string> cases = {};
};

/// What the evaluations of one run came to.
struct Requests {
  int ended = 0;
  std::vector<double> latencies = {};
};

struct RunOutcome {
  double rate = 0;  // steps per second
  double cpu = 0;   // of evaluations, cores
  double cpu_second_half = 0;
  double watching = 0;  // this process, cores
  Requests requests = {};
  guard::ImpactEstimate impact = {};
};

class Sink final : public telemetry::RecordSink {
 public:
  Result<void> add(const telemetry::Record&) override { return {}; }
};

guard::GuardedCommand adversary(const std::string& name) {
  const std::filesystem::path programs =
      std::filesystem::path("/proc/self/exe").is_absolute()
          ? std::filesystem::read_symlink("/proc/self/exe").parent_path() / "adversaries"
          : "";
  std::vector<std::string> argv = {(programs / name).string()};
  if (name == "spin" || name == "one") {
    argv = {(programs / "spin").string(), name == "spin" ? "2" : "1"};
  }
  guard::GuardedCommand command;
  command.argv = std::move(argv);
  command.profile = name == "own_session" ? guard::Profile::Command : guard::Profile::Worker;
  if (command.profile == guard::Profile::Command) {
    command.fds = {{STDERR_FILENO, STDERR_FILENO}};
  }
  return command;
}

/// One run: a loop, a manager, and whoever asks it without a pause until the time is up.
class Run {
 public:
  Run(std::string name, double length)
      : name_(std::move(name)), length_(length), governor_(loop_.get_executor(), options()) {}

  RunOutcome go(int trainer_threads) {
    testing_support::BusyTrainer trainer(trainer_threads);
    std::this_thread::sleep_for(500ms);
    const double own_before = own_cpu();
    const bool guarded = name_ != "unguarded" && name_ != "none";
    if (guarded) {
      governor_.watch(trainer.reader());
    }
    manager_.emplace(loop_.get_executor(),
                     guard::EvaluationLimits{.max_concurrent = 1, .timeout = 20s, .processes = 64},
                     guard::EvaluationPerformanceSLA{}, std::filesystem::path{},
                     guard::HostView{.pressure = {.longest_deferral = 1h},
                                     .gpu = {},
                                     .training = guarded ? &governor_ : nullptr});
    const std::uint64_t before = trainer.steps();
    const MonotonicTime begin = MonotonicClock::now();
    asio::steady_timer end(loop_, begin + std::chrono::nanoseconds(std::llround(length_ * 1e9)));
    end.async_wait([this](const boost::system::error_code&) {
      over_ = true;
      control_.cancel(guard::Outcome::Cancelled, "the run is over");
    });
    if (name_ != "none") {
      asio::co_spawn(loop_, ask(), [this](const std::exception_ptr&) { governor_.stop(); });
    }
    RunOutcome outcome;
    // The evaluation that the end found at work is the training's loss as well.
    loop_.run();
    const double took = seconds(MonotonicClock::now() - begin);
    outcome.rate = static_cast<double>(trainer.steps() - before) / took;
    outcome.watching = (own_cpu() - own_before) / took;
    outcome.requests = requests_;
    for (const telemetry::FrameRecord& frame : frames_) {
      if (!frame.control.empty()) {
        outcome.watching -= frame.own_cpu / took;  // the known load is in this process
        continue;
      }
      const double at = static_cast<double>(frame.end_ns) * 1e-9;
      outcome.cpu += frame.own_cpu / took;
      outcome.cpu_second_half += at > took / 2 ? frame.own_cpu / (took / 2) : 0;
    }
    outcome.impact = governor_.controller().impact().estimate();
    return outcome;
  }

 private:
  static double own_cpu() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
  }

  guard::TrainingGovernor::Options options() {
    return {.limit = 0.05,
            .seed = guard::random_seed(),
            .on_frame = [this](const telemetry::FrameRecord& frame) { frames_.push_back(frame); }};
  }

  asio::awaitable<void> ask() {
    if (name_ == "evaluation" || name_ == "minute") {
      co_return co_await ask_for_evaluations();
    }
    const std::string program = name_ == "session"     ? "own_session"
                                : name_ == "unguarded" ? "spin"
                                                       : name_;
    while (!over_) {
      const guard::GuardedRun run =
          co_await manager_->run_evaluation_with_safeguards(adversary(program), control_);
      take(run.record.latency_ms);
      KEISEI_CHECK(run.record.outcome != guard::Outcome::StartFailed, "{}", run.record.cause);
    }
  }

  asio::awaitable<void> ask_for_evaluations() {
    const net::NetSpec spec = net::parse_net_spec("b2c32").value();
    const std::vector<float> weights = net::initial_weights(spec, 1);
    char directory[] = "/tmp/impact-real-XXXXXX";
    KEISEI_CHECK(mkdtemp(directory) != nullptr, "mkdtemp");
    Sink sink;
    eval::EvaluationManager evaluations(*manager_, sink,
                                        {.opponents = {match::parse_player_spec("random").value()},
                                         .worker = os::find_program("keisei-worker").value(),
                                         .run_directory = directory});
    asio::steady_timer pause(loop_);
    for (MonotonicTime next = MonotonicClock::now(); !over_; next += 60s) {
      if (name_ == "minute") {
        pause.expires_at(next);
        co_await pause.async_wait(asio::use_awaitable);
      }
      auto snapshot = net::Snapshot::from_fd(net::seal_weights(spec, 1, weights).value());
      auto record = co_await evaluations.evaluate_current_agent(std::move(*snapshot));
      KEISEI_CHECK(record, "{}", record.error().message);
      take(record->latency_ms);
    }
    std::filesystem::remove_all(directory);
  }

  void take(double latency_ms) {
    ++requests_.ended;
    requests_.latencies.push_back(latency_ms);
  }

  std::string name_;
  double length_;
  asio::io_context loop_{1};
  guard::TrainingGovernor governor_;
  std::optional<guard::EvaluationPerformanceManager> manager_;
  guard::RunControl control_;
  Requests requests_;
  std::vector<telemetry::FrameRecord> frames_;
  bool over_ = false;
};

double median(std::vector<double> values) {
  if (values.empty()) {
    return 0;
  }
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

void print_certificate(const std::string& name, const RunOutcome& outcome) {
  const guard::ImpactEstimate& impact = outcome.impact;
  const auto& latencies = outcome.requests.latencies;
  fmt::print(
      "{:<11} certificate: {} {:.2f} % [{:.2f}, {:.2f}]; while running {:.2f} % of {:.0f} s, {} "
      "blocks, {} in the control [{:.2f}, {:.2f}]\n",
      name, to_string(impact.verdict), 100 * impact.amortised.estimate,
      100 * impact.amortised.lower, 100 * impact.amortised.upper,
      100 * impact.while_running.estimate, impact.running_s, impact.blocks, impact.control_blocks,
      100 * impact.negative_control.lower, 100 * impact.negative_control.upper);
  fmt::print(
      "{:<11} {} evaluations ended, {} within 5000 ms, median {:.0f} ms; CPU {:.2f} cores, {:.2f} "
      "in "
      "the second half; watching {:.2f} % of a core; {} frames discarded\n",
      "", outcome.requests.ended,
      std::ranges::count_if(latencies, [](double ms) { return ms > 0 && ms < 5000; }),
      median(latencies), outcome.cpu, outcome.cpu_second_half, 100 * outcome.watching,
      std::accumulate(impact.discarded.begin(), impact.discarded.end(), std::int64_t{0},
                      [](std::int64_t sum, const auto& entry) { return sum + entry.second; }));
  const guard::PositiveControl& load = impact.positive_control;
  fmt::print(
      "{:<11} positive control: {} blocks, {:.1f} % [{:.1f}, {:.1f}] lost to a load of {:.1f} "
      "CPUs; {:.2f} s charged for it\n",
      "", load.blocks, 100 * load.loss.estimate, 100 * load.loss.lower, 100 * load.loss.upper,
      load.load_cpus, load.lost_s);
}

/// True where the promise was kept.
bool run_case(const std::string& name, const Settings& settings) {
  const auto rate_without = [&] {
    return Run("none", settings.baseline / 2).go(settings.trainer_threads).rate;
  };
  const double before = rate_without();
  const RunOutcome with = Run(name, settings.seconds).go(settings.trainer_threads);
  const double after = rate_without();
  const double without = (before + after) / 2;
  const double loss = 1 - with.rate / without;
  const bool guarded = name != "unguarded";
  const bool kept =
      !guarded || (with.impact.verdict == guard::ImpactVerdict::Within && loss < 0.05);
  if (guarded) {
    print_certificate(name, with);
  }
  fmt::print(
      "{:<11} outside check: {:.1f} steps/s with, {:.1f} and {:.1f} without: {:.2f} % lost: {}\n",
      name, with.rate, before, after, 100 * loss,
      !guarded ? "nothing was promised"
      : kept   ? "kept"
               : "NOT kept");
  std::fflush(stdout);
  return kept;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view option = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (option == "--seconds") {
      settings.seconds = std::max(1.0, std::atof(value));
    } else if (option == "--baseline") {
      settings.baseline = std::max(1.0, std::atof(value));
    } else if (option == "--trainer-threads") {
      settings.trainer_threads = std::max(1, std::atoi(value));
    } else if (option == "--case") {
      settings.cases.emplace_back(value);
    } else {
      fmt::print(stderr,
                 "usage: impact_real [--seconds S] [--baseline S] [--trainer-threads N] [--case "
                 "NAME]...\n");
      return 2;
    }
  }
  if (settings.cases.empty()) {
    settings.cases = {"evaluation", "spin", "stream", "session", "goodhart", "unguarded"};
  }
  bool kept = true;
  for (const std::string& name : settings.cases) {
    kept = run_case(name, settings) && kept;
  }
  return kept ? 0 : 3;
}
