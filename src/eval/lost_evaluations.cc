#include "eval/lost_evaluations.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <system_error>
#include <utility>

#include "base/clock.h"
#include "base/file.h"
#include "base/unique_fd.h"
#include "eval/request.h"
#include "guard/outcome.h"

namespace keisei::eval {
namespace {

namespace fs = std::filesystem;
using telemetry::EvaluationRecord;

/// Whoever evaluates has it locked, and so has its worker. (To write: where a network file system
/// asks for that.)
bool is_at_work(const fs::path& request) {
  const UniqueFd file(::open(request.c_str(), O_RDWR | O_CLOEXEC));
  return !file || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0;
}

WallTime written_at(const fs::path& file) {
  std::error_code error;
  const auto time = fs::last_write_time(file, error);
  return error ? WallTime{}
               : std::chrono::time_point_cast<WallTime::duration>(
                     std::chrono::file_clock::to_sys(time));
}

}  // namespace

std::vector<EvaluationRecord> find_lost_evaluations(const fs::path& run_directory,
                                                    const std::vector<EvaluationRecord>& known) {
  std::set<std::string> ids;
  for (const EvaluationRecord& record : known) {
    ids.insert(record.id);
  }
  std::vector<EvaluationRecord> lost;
  std::error_code error;
  for (fs::directory_iterator entry(run_directory / "evaluations", error), end;
       !error && entry != end; entry.increment(error)) {
    const std::string id = entry->path().filename().string();
    const fs::path path = fs::path("evaluations") / id / "request.json";
    const Result<std::string> text = read_file(run_directory / path);
    const auto request = text ? parse_request(*text) : tl::unexpected(text.error());
    const bool reported = fs::exists(run_directory / "evaluations" / id / "report.json");
    if (!request || reported || ids.contains(id) || is_at_work(run_directory / path)) {
      continue;
    }
    EvaluationRecord record;
    record.id = id;
    record.step = request->step;
    record.started = written_at(run_directory / path);
    record.outcome = guard::to_string(guard::Outcome::SupervisorLost);
    record.cause = "its supervisor was killed while it ran; what was played is lost";
    record.games_asked =
        std::int64_t{request->games} * static_cast<std::int64_t>(request->opponents.size());
    record.request_path = path.string();
    lost.push_back(std::move(record));
  }
  std::ranges::sort(lost, {}, &EvaluationRecord::id);
  return lost;
}

}  // namespace keisei::eval
