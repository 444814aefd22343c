#include "guard/attack_plan.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cmath>

namespace keisei::guard {
namespace {

using namespace std::chrono_literals;

constexpr auto kFullTimeout = 1s;
constexpr auto kQuickTimeout = 300ms;
constexpr auto kAmpleTimeout = 15s;  // where time is not what is attacked
constexpr Bytes kFullMemory = megabytes(500);
constexpr Bytes kQuickMemory = megabytes(100);
constexpr Bytes kFileSize = megabytes(40);
constexpr auto kFullBurn = 2s;
constexpr auto kQuickBurn = 1s;
constexpr int kMostBurning = 16;
constexpr double kShownBelow = 0.8;  // of what could be used, or nothing would be refused
constexpr int kMostProcesses = 256;
constexpr int kMostAtOnce = 8;
constexpr int kCompanions = 3;
// What one process can take beyond RLIMIT_DATA: pages of its file, its first stack.
constexpr Bytes kOneProcessOvershoot = megabytes(1);
constexpr Bytes kSampledOvershoot = megabytes(64);  // where only sampling sees it
constexpr Bytes kReport = megabytes(24);            // above every cap

std::string count(std::int64_t value) { return std::to_string(value); }

/// Rows for one profile, all with the same limits.
class Rows {
 public:
  Rows(Profile profile, const EvaluationLimits& limits) : profile_(profile), limits_(limits) {
    limits_.cpu_percent.reset();  // stop and go would hide what the other rows attack
    ample_ = limits_;
    ample_.timeout = kAmpleTimeout;
  }

  Attack row(std::string promise, const std::string& program, std::vector<Outcome> accepted) const {
    return {.promise = std::move(promise),
            .name = program,
            .program = program,
            .arguments = {},
            .profile = profile_,
            .limits = ample_,
            .accepted = std::move(accepted)};
  }
  Attack timed(const char* program) const {
    Attack attack = row("time", program, {Outcome::TimedOut});
    attack.limits = limits_;
    attack.arguments = {count((limits_.timeout + 2s) / 1ms)};
    attack.on_time = true;
    return attack;
  }
  /// Up to 1.3 times the limit.
  Attack hungry(const char* program, std::vector<Outcome> accepted, Bytes overshoot) const {
    Attack attack = row("memory", program, std::move(accepted));
    attack.arguments = {count(limits_.memory.count / 10 * 13)};
    attack.most_overshoot = overshoot;
    return attack;
  }
  Attack fork_bomb() const {
    Attack attack = row("processes", "fork-bomb", {Outcome::OverProcesses, Outcome::Finished});
    attack.arguments = {count(std::max(200, 3 * limits_.processes.value_or(0)))};
    attack.companions = std::min(kCompanions, limits_.max_concurrent - 1);
    return attack;
  }

 private:
  Profile profile_;
  EvaluationLimits limits_;
  EvaluationLimits ample_;
};

void add_lifetime(std::vector<Attack>& attacks, const Rows& rows) {
  attacks.push_back(rows.row("no orphan", "daemons", {Outcome::Finished}));
  attacks.push_back(rows.row("no orphan", "kill-init", {Outcome::Finished}));
}

void add_memory(std::vector<Attack>& attacks, const Rows& rows) {
  attacks.push_back(rows.hungry("leak", {Outcome::OverMemory}, kOneProcessOvershoot));
  for (const char* program : {"children-hold", "hoard-memfd", "map-shared"}) {
    attacks.push_back(
        rows.hungry(program, {Outcome::OverMemory, Outcome::Finished}, kSampledOvershoot));
  }
}

void add_supervisor(std::vector<Attack>& attacks, const Rows& rows, const AttackGround& ground) {
  Attack attack = rows.row("no orphan", "kill-supervisor", {Outcome::Finished});
  attack.arguments = {ground.supervisor.string(), count(ground.host_memory.count) + "B"};
  attack.limits.processes.reset();
  attacks.push_back(std::move(attack));
}

void add_files(std::vector<Attack>& attacks, const Rows& rows, const AttackGround& ground) {
  Attack large = rows.row("files", "large-file", {Outcome::OverFiles, Outcome::Finished});
  large.limits.file_size = std::min(large.limits.file_size.value_or(kFileSize), kFileSize);
  large.arguments = {count(large.limits.file_size->count / 10 * 13)};
  attacks.push_back(std::move(large));
  Attack fill = rows.row("files", "fill-scratch",
                         {Outcome::Finished, Outcome::OverMemory, Outcome::OverFiles});
  fill.arguments = {count(fill.limits.memory.count / 10 * 13)};
  attacks.push_back(std::move(fill));
  Attack outside = rows.row("files", "write-outside", {Outcome::Finished});
  outside.arguments = {(ground.directory / "outside").string()};
  attacks.push_back(std::move(outside));
}

void add_reports(std::vector<Attack>& attacks, const Rows& rows) {
  for (const char* kind : {"garbage", "huge", "none"}) {
    Attack attack = rows.row("report", "report", {Outcome::BadReport});
    attack.name = std::string("report ") + kind;
    attack.arguments = {kind, count(kReport.count)};
    attack.wants_report = true;
    attacks.push_back(std::move(attack));
  }
}

void add_crashes(std::vector<Attack>& attacks, const Rows& rows) {
  struct Crash {
    const char* name;
    const char* how;
    int value;
  };
  for (const Crash& crash : {Crash{"crash SIGSEGV", "signal", SIGSEGV},
                             {"crash SIGABRT", "signal", SIGABRT},
                             {"crash exit 77", "exit", 77}}) {
    Attack attack = rows.row("cause", "crash", {Outcome::Crashed});
    attack.name = crash.name;
    attack.arguments = {crash.how, count(crash.value)};
    const bool by_signal = attack.arguments.front() == "signal";
    attack.exit = by_signal ? ExitRecord{.code = std::nullopt, .signal = crash.value}
                            : ExitRecord{.code = crash.value, .signal = std::nullopt};
    attacks.push_back(std::move(attack));
  }
}

int most_burning(const EvaluationLimits& limits, const AttackGround& ground) {
  return std::min({ground.processors, kMostBurning, limits.processes.value_or(kMostBurning)});
}

/// With more processes than the share would do for, and no more than that.
Attack burn(const Rows& rows, const EvaluationLimits& limits, Thoroughness thoroughness,
            const AttackGround& ground) {
  Attack attack = rows.row("cpu", "burn", {Outcome::Finished});
  const std::chrono::milliseconds length =
      thoroughness == Thoroughness::Quick ? kQuickBurn : kFullBurn;
  const int needed = 1 + static_cast<int>(std::ceil(limits.cpu_percent.value_or(0) / 80));
  attack.arguments = {count(length.count()), count(std::min(needed, most_burning(limits, ground)))};
  attack.limits.cpu_percent = limits.cpu_percent;
  attack.holds_cpu = true;
  return attack;
}

Attack at_once(const Rows& rows, const EvaluationLimits& limits) {
  Attack attack = rows.row("at once", "hold", {Outcome::Finished, Outcome::Rejected});
  attack.copies = limits.max_concurrent + 1;
  attack.name = count(attack.copies) + " at once";
  attack.arguments = {"150"};
  attack.wants_report = true;
  return attack;
}

Attack gpu(const Rows& rows, Thoroughness thoroughness) {
  Attack attack = rows.row("gpu", "hold", {Outcome::Finished});
  attack.name = "gpu account";
  attack.arguments = {thoroughness == Thoroughness::Quick ? "400" : "1500"};
  attack.wants_report = true;
  attack.judges_gpu = true;
  return attack;
}

}  // namespace

EvaluationLimits attacked_limits(const EvaluationLimits& configured, Thoroughness thoroughness) {
  const bool quick = thoroughness == Thoroughness::Quick;
  EvaluationLimits limits = configured;
  limits.timeout = std::min<std::chrono::nanoseconds>(
      limits.timeout, quick ? std::chrono::nanoseconds(kQuickTimeout) : kFullTimeout);
  limits.memory = std::min(limits.memory, quick ? kQuickMemory : kFullMemory);
  limits.processes = std::min(limits.processes.value_or(64), kMostProcesses);
  limits.max_concurrent = std::min(limits.max_concurrent, kMostAtOnce);
  return limits;
}

std::string why_cpu_is_not_attacked(const EvaluationLimits& limits, const AttackGround& ground) {
  if (!limits.cpu_percent) {
    return "no limit is configured (evaluation.limits.cpu_percent)";
  }
  const double usable = 100.0 * most_burning(limits, ground);
  return *limits.cpu_percent < kShownBelow * usable
             ? ""
             : fmt::format("a limit of {:g} % leaves nothing to refuse where {:g} % can be used",
                           *limits.cpu_percent, usable);
}

std::vector<Attack> plan_attacks(const EvaluationLimits& limits, Thoroughness thoroughness,
                                 const AttackGround& ground) {
  const bool full = thoroughness == Thoroughness::Full;
  const Rows worker(Profile::Worker, limits);
  const Rows command(Profile::Command, limits);
  std::vector<Attack> attacks = {worker.timed("spin"), worker.timed("stop")};
  add_memory(attacks, worker);
  if (why_cpu_is_not_attacked(limits, ground).empty()) {
    attacks.push_back(burn(worker, limits, thoroughness, ground));
  }
  attacks.push_back(worker.fork_bomb());
  add_lifetime(attacks, worker);
  add_supervisor(attacks, command, ground);
  attacks.push_back(at_once(worker, limits));
  add_files(attacks, worker, ground);
  attacks.push_back(
      worker.row("system calls", "escape", {Outcome::Finished, Outcome::PolicyViolation}));
  add_reports(attacks, worker);
  add_crashes(attacks, worker);
  attacks.push_back(gpu(worker, thoroughness));
  if (full) {
    attacks.push_back(command.timed("spin"));
    add_memory(attacks, command);
    attacks.push_back(command.fork_bomb());
    add_lifetime(attacks, command);
  }
  return attacks;
}

}  // namespace keisei::guard
