#include "eval/evaluation_manager.h"

#include <fcntl.h>
#include <sys/file.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/clock.h"
#include "base/file.h"
#include "base/printable.h"
#include "eval/degradation.h"
#include "eval/opponent_pool.h"
#include "eval/report.h"
#include "eval/request.h"
#include "eval/wire.h"

namespace keisei::eval {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;
using telemetry::EvaluationRecord;
using Source = std::variant<fs::path, net::Snapshot, telemetry::Notice>;

/// One evaluation between its request and its record.
struct Pending {
  EvaluationRequest request;
  net::Snapshot candidate;
  std::vector<Opponent> opponents;
  UniqueFd request_file;
  EvaluationRecord record;
  std::shared_ptr<WorkerReport> report;  // set by the guard's check of the report
};

/// Makes evaluations/<id> for the first id of this step that is free.
Result<std::string> claim_id(const fs::path& run_directory, std::int64_t step) {
  std::error_code error;
  fs::create_directories(run_directory / "evaluations", error);
  fs::create_directories(run_directory / "games", error);
  for (int attempt = 1; attempt < 10'000; ++attempt) {
    const std::string id =
        attempt == 1 ? fmt::format("{:012}", step) : fmt::format("{:012}-{}", step, attempt);
    if (fs::create_directory(run_directory / "evaluations" / id, error)) {
      return id;
    }
    if (error) {
      return fail("creating {}: {}", (run_directory / "evaluations" / id).string(),
                  error.message());
    }
  }
  return fail("step {} was evaluated 10000 times in {}", step, run_directory.string());
}

Result<net::Snapshot> open_snapshot(Source source) {
  if (const auto* checkpoint = std::get_if<fs::path>(&source)) {
    return net::Snapshot::from_file(*checkpoint);
  }
  if (auto* snapshot = std::get_if<net::Snapshot>(&source)) {
    return std::move(*snapshot);
  }
  auto& notice = std::get<telemetry::Notice>(source);
  auto snapshot = net::Snapshot::from_fd(std::move(notice.snapshot));
  if (!snapshot) {
    return with_context(std::move(snapshot).error(),
                        fmt::format("the snapshot of step {}", notice.record.step));
  }
  return snapshot;
}

/// Writes what the worker is asked, for it to inherit and for people to read. Locked as long as
/// somebody is at work at it (eval/lost_evaluations.h). Blocks on the disk.
Result<UniqueFd> write_request(const fs::path& file, const EvaluationRequest& request) {
  KEISEI_TRY_VOID(write_file_atomically(file, to_json(request)));
  UniqueFd written(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!written) {
    return fail_errno(fmt::format("opening {}", file.string()));
  }
  (void)::flock(written.get(),
                LOCK_SH | LOCK_NB);  // where there are no locks it may be called lost
  return written;
}

std::int64_t games_of(const EvaluationRequest& request) {
  return std::int64_t{request.games} * static_cast<std::int64_t>(request.opponents.size());
}

/// Blocks on the disk.
Result<Pending> prepare(const EvaluationSettings& settings, Source source,
                        telemetry::EvaluationEntry entry) {
  KEISEI_TRY(snapshot, open_snapshot(std::move(source)));
  KEISEI_TRY(opponents, open_opponents(settings.opponents));
  KEISEI_TRY(id, claim_id(settings.run_directory, static_cast<std::int64_t>(snapshot.step())));
  EvaluationRequest request{
      .id = id,
      .step = static_cast<std::int64_t>(snapshot.step()),
      .opponents = {},
      .games = games_against_each(settings.strategy, settings.games, opponents.size()),
      .opening_plies = settings.opening_plies,
      .max_plies = settings.max_plies,
      .threads = settings.threads,
      .seed = settings.seed};
  for (const Opponent& opponent : opponents) {
    request.opponents.push_back(opponent.request);
  }
  const fs::path request_path = fs::path("evaluations") / id / "request.json";
  KEISEI_TRY(request_file, write_request(settings.run_directory / request_path, request));
  EvaluationRecord record{.id = id,
                          .step = request.step,
                          .entry = entry,
                          .started = std::chrono::system_clock::now(),
                          .games_asked = games_of(request),
                          .weights_hash = snapshot.content_hash(),
                          .request_path = request_path.string()};
  return Pending{std::move(request),      std::move(snapshot), std::move(opponents),
                 std::move(request_file), std::move(record),   std::make_shared<WorkerReport>()};
}

/// Reads the report of a worker that ended well: whole, or ended early and says so.
Result<guard::ReportKind> check_report(std::string_view text, const EvaluationRequest& request,
                                       const std::string& weights_hash, WorkerReport& report) {
  KEISEI_TRY(parsed, parse_report(text, request));
  const auto kind = parsed.complete ? guard::ReportKind::Complete : guard::ReportKind::Partial;
  if (!parsed.complete && !parsed.ended_early) {
    return fail("the report breaks off after {} games", parsed.games.size());
  }
  if (parsed.weights_hash != weights_hash) {
    return fail("the worker evaluated other weights ({}) than it was given ({})",
                parsed.weights_hash, weights_hash);
  }
  report = std::move(parsed);
  return kind;
}

guard::GuardedCommand worker_command(const Pending& pending, const EvaluationSettings& settings) {
  guard::GuardedCommand command{
      .argv = {settings.worker.string()},
      .environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "OMP_WAIT_POLICY=PASSIVE",
                      fmt::format("OMP_NUM_THREADS={}", pending.request.threads)},
      .profile = guard::Profile::Worker,
      .fds = {{pending.request_file.get(), kRequestFd},
              {pending.candidate.fd(), pending.request.candidate_fd}},
      .report_fd = kReportFd,
      .report_limit = longest_report(pending.request),
      .report_check =
          [request = pending.request, hash = pending.record.weights_hash, report = pending.report](
              std::string_view text) { return check_report(text, request, hash, *report); },
      .capture_stderr = true,
      .threads = pending.request.threads,
      .enforcement = settings.enforcement,
      .pressure = guard::PressureResponse::Degrade};
  for (const Opponent& opponent : pending.opponents) {
    if (opponent.snapshot) {
      command.fds.push_back({opponent.snapshot->fd(), opponent.request.snapshot_fd});
    }
  }
  return command;
}

/// What an evaluation is made of while it waits. All of it outlives the run.
struct Waiting {
  Pending& pending;
  const EvaluationSettings& settings;
  guard::Background& background;
};

/// Asks for less before the worker starts: rewrites the request, and the command after it.
boost::asio::awaitable<Result<void>> shrink(Waiting waiting, guard::GuardedCommand& command,
                                            guard::ServiceLevel level) {
  EvaluationRequest request = degraded(waiting.pending.request, level);
  auto write = [request,
                file = waiting.settings.run_directory / waiting.pending.record.request_path] {
    return write_request(file, request);
  };
  Result<UniqueFd> file = co_await waiting.background.run(std::move(write));
  if (!file) {
    co_return tl::unexpected<Error>(std::move(file).error());
  }
  waiting.pending.request = std::move(request);
  waiting.pending.request_file = std::move(*file);
  command = worker_command(waiting.pending, waiting.settings);
  co_return Result<void>();
}

telemetry::Verdict to_telemetry(guard::Verdict verdict) {
  switch (verdict) {
    case guard::Verdict::Met:
      return telemetry::Verdict::Met;
    case guard::Verdict::Violated:
      return telemetry::Verdict::Violated;
    case guard::Verdict::NotMeasured:
      break;
  }
  return telemetry::Verdict::NotMeasured;
}

telemetry::MetricVerdict to_telemetry(const guard::MetricVerdict& metric) {
  return {metric.value, metric.limit, to_telemetry(metric.verdict)};
}

/// The last line that a failed worker wrote, which says why it failed.
std::string last_line(std::string_view text) {
  while (text.ends_with('\n')) {
    text.remove_suffix(1);
  }
  return printable(text.substr(text.find_last_of('\n') + 1));
}

std::string tier_text(const guard::Tier& tier) {
  std::string text = fmt::format("enforced: {}", fmt::join(tier.enforced, ", "));
  if (!tier.not_enforced.empty()) {
    text += fmt::format("; not enforced: {}", fmt::join(tier.not_enforced, ", "));
  }
  return text;
}

/// Copies the guard's account of the run into the record.
void take_account(const guard::GuardedRun& run, EvaluationRecord& record) {
  const guard::GuardRecord& account = run.record;
  record.outcome = guard::to_string(account.outcome);
  record.cause = account.cause;
  if (account.outcome == guard::Outcome::Crashed && !run.stderr_tail.empty()) {
    record.cause += fmt::format(": {}", last_line(run.stderr_tail));
  }
  record.latency_ms = account.latency_ms;
  record.queue_ms = account.queue_ms;
  record.peak_memory_bytes = account.peak_memory.count;
  record.cpu_seconds = account.cpu_seconds;
  record.sla = {{"evaluation_latency_ms", to_telemetry(account.sla.evaluation_latency_ms)},
                {"memory_overhead_mb", to_telemetry(account.sla.memory_overhead_mb)},
                {"training_impact_percent", to_telemetry(account.sla.training_impact_percent)},
                {"gpu_utilization_percent", to_telemetry(account.sla.gpu_utilization_percent)}};
  record.training_impact = to_telemetry(account.sla.training_impact_percent.verdict);
  record.tier = tier_text(account.tier);
  record.enforcement = account.enforcement;
  for (const guard::DegradationStep& step : account.degradation) {
    record.degradation.push_back(
        {std::string(guard::to_string(step.level)), step.cause, step.waited_ms});
  }
}

/// report.json: the evaluation's own fields over the guard's account.
std::string report_json(const guard::GuardedRun& run, const EvaluationRecord& record) {
  ordered_json json = ordered_json::parse(telemetry::to_json(record));
  const ordered_json account = ordered_json::parse(guard::to_json(run.record));
  for (const auto& [key, value] : account.items()) {
    if (!json.contains(key) || key == "tier") {
      json[key] = value;
    }
  }
  json["stderr_tail"] = run.stderr_tail;
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

/// The games of a run that was cut short. None where the report was refused, where it cannot be
/// read or where it is about other weights.
WorkerReport games_so_far(const guard::GuardedRun& run, const EvaluationRequest& request,
                          const std::string& weights_hash) {
  if (run.record.outcome == guard::Outcome::BadReport) {
    return {};
  }
  auto report = parse_report(run.report, request);
  if (!report || report->weights_hash != weights_hash) {
    return {};
  }
  report->complete = false;  // whatever it says: the run did not finish
  return std::move(*report);
}

/// What an ended run comes to: games of a run that was cut short count, and are called partial.
/// Blocks on the disk.
Result<EvaluationRecord> conclude(Pending pending, const guard::GuardedRun& run,
                                  const fs::path& run_directory) {
  EvaluationRecord& record = pending.record;
  take_account(run, record);
  const guard::Outcome outcome = run.record.outcome;
  if (outcome != guard::Outcome::Finished && outcome != guard::Outcome::Partial) {
    *pending.report = games_so_far(run, pending.request, record.weights_hash);
  }
  summarise(*pending.report, pending.request, record);
  record.partial = record.partial || outcome == guard::Outcome::Partial;
  const fs::path directory = fs::path("evaluations") / record.id;
  record.report_path = (directory / "report.json").string();
  KEISEI_TRY_VOID(
      write_file_atomically(run_directory / record.report_path, report_json(run, record)));
  if (!pending.report->games.empty()) {
    KEISEI_TRY_VOID(write_file_atomically(run_directory / "games" / (record.id + ".usi"),
                                          games_text(*pending.report, pending.request)));
  }
  return record;
}

}  // namespace

EvaluationManager::EvaluationManager(guard::EvaluationPerformanceManager& guard,
                                     telemetry::RecordSink& sink, EvaluationSettings settings)
    : guard_(guard), sink_(sink), settings_(std::move(settings)) {}

boost::asio::awaitable<Result<EvaluationRecord>> EvaluationManager::evaluate_checkpoint(
    fs::path checkpoint) {
  return evaluate(std::move(checkpoint), telemetry::EvaluationEntry::Checkpoint);
}

boost::asio::awaitable<Result<EvaluationRecord>> EvaluationManager::evaluate_current_agent(
    net::Snapshot snapshot) {
  return evaluate(std::move(snapshot), telemetry::EvaluationEntry::CurrentAgent);
}

boost::asio::awaitable<Result<EvaluationRecord>> EvaluationManager::evaluate_notice(
    telemetry::Notice notice) {
  return evaluate(std::move(notice), telemetry::EvaluationEntry::Notice);
}

boost::asio::awaitable<Result<EvaluationRecord>> EvaluationManager::evaluate(
    Source source, telemetry::EvaluationEntry entry) {
  const auto control = controls_.emplace(controls_.end());
  Result<EvaluationRecord> record = EvaluationRecord{};
  try {
    record = co_await run(std::move(source), entry, *control);
  } catch (...) {  // of a library; whoever awaits this judges it
    controls_.erase(control);
    throw;
  }
  controls_.erase(control);
  if (record) {
    if (auto kept = sink_.add(*record); !kept) {
      co_return with_context(std::move(kept).error(),
                             fmt::format("keeping evaluation {}", record->id));
    }
  }
  co_return record;
}

boost::asio::awaitable<Result<EvaluationRecord>> EvaluationManager::run(
    Source source, telemetry::EvaluationEntry entry, guard::RunControl& control) {
  auto preparing = [this, source = std::move(source), entry]() mutable {
    return prepare(settings_, std::move(source), entry);
  };
  auto pending = co_await background_.run(std::move(preparing));
  if (!pending) {
    co_return tl::unexpected<Error>(std::move(pending).error());
  }
  guard::GuardedCommand command = worker_command(*pending, settings_);
  if (settings_.shrinking == Shrinking::Allowed) {
    const Waiting waiting{*pending, settings_, background_};
    command.adapt = [waiting](guard::GuardedCommand& smaller, guard::ServiceLevel level) {
      return shrink(waiting, smaller, level);
    };
  }
  guard::GuardedRun ended =
      co_await guard_.run_evaluation_with_safeguards(std::move(command), control);
  auto concluding = [pending = std::move(*pending), ended = std::move(ended),
                     directory = settings_.run_directory]() mutable {
    return conclude(std::move(pending), ended, directory);
  };
  co_return co_await background_.run(std::move(concluding));
}

void EvaluationManager::cancel_all(guard::Outcome reason, const std::string& cause) {
  for (guard::RunControl& control : controls_) {
    control.cancel(reason, cause);
  }
}

}  // namespace keisei::eval
