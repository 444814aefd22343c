// What evaluations cost a training that uses every core, by the certificate and by an outside
// check.
//
//   impact_real [--seconds S] [--segment S] [--rest S] [--trainer-threads N]
//               [--trainer-work matrices|chain] [--case NAME]...
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
// The training multiplies matrices; `chain` is integer arithmetic that others on the same physical
// core hardly slow, for hosts whose neighbours come and go; it feels what evaluations take of the
// processors' time, and nothing of what they do to caches and memory.
// Per case one training, beside which segments with evaluations (S seconds in all) and rests
// without take turns. In a rest nobody watches either, and the account stands still: no credit is
// earned in it. The outside check holds the training's rate in each segment against its rate in the
// rests before and after it, so that a machine that grows slower or faster does not count as a
// loss. Prints that loss with its standard error, the certificate, how much CPU time the
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
#include <map>
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

const std::map<std::string_view, testing_support::StepWork> kWork = {
    {"matrices", testing_support::StepWork::Matrices}, {"chain", testing_support::StepWork::Chain}};

struct Settings {
  double seconds = 600;  // with evaluations
  double segment = 40;   // seconds
  double rest = 15;      // seconds
  int trainer_threads = static_cast<int>(std::thread::hardware_concurrency());
  testing_support::StepWork trainer_work = testing_support::StepWork::Matrices;
  std::vector<std::string> cases = {};
};

/// What the evaluations of one run came to.
struct Requests {
  int ended = 0;
  std::vector<double> latencies = {};
};

/// What the training did in a stretch of time.
struct Stretch {
  double seconds = 0;
  std::uint64_t steps = 0;

  [[nodiscard]] double rate() const { return static_cast<double>(steps) / seconds; }
};

struct RunOutcome {
  std::vector<Stretch> rests = {};     // one more than segments
  std::vector<Stretch> segments = {};  // with evaluations
  std::vector<Stretch> standing = {};  // of each segment, the frames in which nothing ran
  double cpu = 0;                      // of evaluations, cores
  double cpu_second_half = 0;
  std::map<std::string, double> second_half = {};  // its seconds, by what they were for
  double watching = 0;                             // this process, cores
  double governor = 0;                             // of it, what it decides with
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

/// What the time of a frame was for.
std::string purpose(const telemetry::FrameRecord& frame) {
  if (!frame.control.empty()) {
    return "controls";
  }
  return frame.running                              ? "evaluations"
         : frame.setting == guard::setting::kOff    ? "hold-outs"
         : frame.setting == guard::setting::kSwitch ? "stops"
                                                    : "none at work";
}

/// One case: a training, a loop, a manager, and whoever asks it without a pause in the segments.
class Run {
 public:
  Run(std::string name, const Settings& settings)
      : name_(std::move(name)),
        settings_(settings),
        trainer_(settings.trainer_threads, settings.trainer_work),
        governor_(loop_.get_executor(), options()) {
    const bool guarded = name_ != "unguarded";
    manager_.emplace(loop_.get_executor(),
                     guard::EvaluationLimits{.max_concurrent = 1, .timeout = 20s, .processes = 64},
                     guard::EvaluationPerformanceSLA{}, std::filesystem::path{},
                     guard::HostView{.pressure = {.longest_deferral = 1h},
                                     .gpu = {},
                                     .training = guarded ? &governor_ : nullptr});
  }

  RunOutcome go() {
    const double length = name_ == "one"      ? settings_.seconds
                          : name_ == "minute" ? std::max(settings_.segment, 150.0)
                                              : settings_.segment;
    std::this_thread::sleep_for(1s);
    rest();
    double left = settings_.seconds;
    while (left > 0) {
      const double now = std::min(length, left);
      segment(now, std::clamp((settings_.seconds / 2 - (left - now)) / now, 0.0, 1.0));
      left -= length;
      rest();
    }
    outcome_.cpu /= with_s_;
    outcome_.cpu_second_half /= second_half_s_;
    outcome_.watching /= with_s_;
    outcome_.governor = governor_.cpu_seconds() / with_s_;
    outcome_.impact = governor_.controller().impact().estimate();
    return outcome_;
  }

 private:
  static double own_cpu() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
  }

  /// What the training does while `passes` does something.
  template <typename Passing>
  Stretch observe(Passing passes) {
    const std::uint64_t before = trainer_.steps();
    const MonotonicTime begin = MonotonicClock::now();
    passes();
    return {.seconds = seconds(MonotonicClock::now() - begin), .steps = trainer_.steps() - before};
  }

  void rest() {
    std::this_thread::sleep_for(500ms);  // what an evaluation leaves behind is neither's
    outcome_.rests.push_back(observe(
        [&] { std::this_thread::sleep_for(std::chrono::duration<double>(settings_.rest)); }));
  }

  /// `late`: the share of it, at its end, that lies in the second half of all segments.
  void segment(double length, double late) {
    over_ = false;
    frames_.clear();
    control_.emplace();
    const double own_before = own_cpu();
    asio::steady_timer end(loop_);
    const Stretch stretch = observe([&] {
      if (name_ != "unguarded") {
        governor_.watch(trainer_.reader());
      }
      end.expires_after(std::chrono::nanoseconds(std::llround(length * 1e9)));
      end.async_wait([this](const boost::system::error_code&) {
        over_ = true;
        control_->cancel(guard::Outcome::Cancelled, "the segment is over");
      });
      asio::co_spawn(loop_, ask(), [this](const std::exception_ptr& error) {
        KEISEI_CHECK(!error, "an exception ended the requests");
        governor_.stop();
      });
      loop_.restart();
      loop_.run();  // the evaluation that the end found at work is the training's loss as well
    });
    outcome_.segments.push_back(stretch);
    count(stretch.seconds, own_cpu() - own_before, late);
  }

  void count(double took, double own, double late) {
    outcome_.watching += own;
    with_s_ += took;
    double evaluations = 0;
    Stretch standing;
    for (const telemetry::FrameRecord& frame : frames_) {
      if (frame.control.empty()) {
        evaluations += frame.own_cpu;
      } else {
        outcome_.watching -= frame.own_cpu;  // the known load is in this process
      }
    }
    for (const telemetry::FrameRecord& frame : frames_) {
      if (!frame.running && frame.discarded.empty()) {
        standing.seconds += static_cast<double>(frame.measured_ns) * 1e-9;
        for (const std::int64_t ticks : frame.ticks) {
          standing.steps += static_cast<std::uint64_t>(ticks);
        }
      }
    }
    outcome_.standing.push_back(standing);
    outcome_.cpu += evaluations;
    const double last = frames_.empty() ? 0 : static_cast<double>(frames_.back().end_ns) * 1e-9;
    for (const telemetry::FrameRecord& frame : frames_) {
      if (static_cast<double>(frame.end_ns) * 1e-9 > last - late * took) {
        outcome_.cpu_second_half += frame.control.empty() ? frame.own_cpu : 0;
        outcome_.second_half[purpose(frame)] +=
            static_cast<double>(frame.end_ns - frame.begin_ns) * 1e-9;
      }
    }
    second_half_s_ += late * took;
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
          co_await manager_->run_evaluation_with_safeguards(adversary(program), *control_);
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
        if (over_) {
          break;
        }
      }
      auto snapshot = net::Snapshot::from_fd(net::seal_weights(spec, 1, weights).value());
      auto record = co_await evaluations.evaluate_current_agent(std::move(*snapshot));
      KEISEI_CHECK(record, "{}", record.error().message);
      take(record->latency_ms);
    }
    std::filesystem::remove_all(directory);
  }

  void take(double latency_ms) {
    ++outcome_.requests.ended;
    outcome_.requests.latencies.push_back(latency_ms);
  }

  std::string name_;
  Settings settings_;
  testing_support::BusyTrainer trainer_;
  asio::io_context loop_{1};
  guard::TrainingGovernor governor_;
  std::optional<guard::EvaluationPerformanceManager> manager_;
  std::optional<guard::RunControl> control_;  // of a segment
  std::vector<telemetry::FrameRecord> frames_;
  RunOutcome outcome_;
  double with_s_ = 0;
  double second_half_s_ = 0;
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
      "the second half; watching {:.2f} % of a core, the governor's looks {:.2f} %; {} frames "
      "discarded\n",
      "", outcome.requests.ended,
      std::ranges::count_if(latencies, [](double ms) { return ms > 0 && ms < 5000; }),
      median(latencies), outcome.cpu, outcome.cpu_second_half, 100 * outcome.watching,
      100 * outcome.governor,
      std::accumulate(impact.discarded.begin(), impact.discarded.end(), std::int64_t{0},
                      [](std::int64_t sum, const auto& entry) { return sum + entry.second; }));
  double second_half = 0;
  for (const auto& [what, length] : outcome.second_half) {
    second_half += length;
  }
  fmt::print("{:<11} of the second half", "");
  for (const auto& [what, length] : outcome.second_half) {
    fmt::print(" {:.1f} % {},", 100 * length / second_half, what);
  }
  fmt::print("\n");
  const guard::PositiveControl& load = impact.positive_control;
  fmt::print(
      "{:<11} positive control: {} blocks, {:.1f} % [{:.1f}, {:.1f}] lost to a load of {:.1f} "
      "CPUs; {:.2f} s charged for it\n",
      "", load.blocks, 100 * load.loss.estimate, 100 * load.loss.lower, 100 * load.loss.upper,
      load.load_cpus, load.lost_s);
}

struct OutsideLoss {
  double mean = 0;  // of the rate, over all segments
  double standard_error = 0;
};

/// Of `stretches`, each against the rests around it.
OutsideLoss outside_loss(const RunOutcome& outcome, const std::vector<Stretch>& stretches) {
  std::vector<double> losses;
  double weight = 0;
  OutsideLoss loss;
  for (std::size_t i = 0; i < stretches.size(); ++i) {
    if (stretches[i].seconds <= 0) {
      continue;
    }
    const double without = (outcome.rests[i].rate() + outcome.rests[i + 1].rate()) / 2;
    losses.push_back(1 - stretches[i].rate() / without);
    loss.mean += losses.back() * stretches[i].seconds;
    weight += stretches[i].seconds;
  }
  loss.mean /= weight;
  double squares = 0;
  for (const double one : losses) {
    squares += (one - loss.mean) * (one - loss.mean);
  }
  const auto count = static_cast<double>(losses.size());
  loss.standard_error = count > 1 ? std::sqrt(squares / (count * (count - 1))) : NAN;
  return loss;
}

/// True where the promise was kept.
bool run_case(const std::string& name, const Settings& settings) {
  const RunOutcome outcome = Run(name, settings).go();
  const OutsideLoss loss = outside_loss(outcome, outcome.segments);
  const bool guarded = name != "unguarded";
  const bool kept =
      !guarded || (outcome.impact.verdict == guard::ImpactVerdict::Within && loss.mean < 0.05);
  if (guarded) {
    print_certificate(name, outcome);
    const OutsideLoss left = outside_loss(outcome, outcome.standing);
    fmt::print(
        "{:<11} while evaluations stand still: {:.2f} % below the rests, standard error {:.2f}\n",
        "", 100 * left.mean, 100 * left.standard_error);
  }
  std::vector<double> rests;
  for (const Stretch& rest : outcome.rests) {
    rests.push_back(rest.rate());
  }
  const auto [slowest, fastest] = std::ranges::minmax(rests);
  fmt::print(
      "{:<11} outside check: {:.2f} % lost, standard error {:.2f}, {} segments; {:.1f} to {:.1f} "
      "steps/s in the rests: {}\n",
      name, 100 * loss.mean, 100 * loss.standard_error, outcome.segments.size(), slowest, fastest,
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
    } else if (option == "--segment") {
      settings.segment = std::max(1.0, std::atof(value));
    } else if (option == "--rest") {
      settings.rest = std::max(1.0, std::atof(value));
    } else if (option == "--trainer-threads") {
      settings.trainer_threads = std::max(1, std::atoi(value));
    } else if (option == "--trainer-work" && kWork.contains(value)) {
      settings.trainer_work = kWork.at(value);
    } else if (option == "--case") {
      settings.cases.emplace_back(value);
    } else {
      fmt::print(stderr,
                 "usage: impact_real [--seconds S] [--segment S] [--rest S] [--trainer-threads N] "
                 "[--trainer-work matrices|chain] [--case NAME]...\n");
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
