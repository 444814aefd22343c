#include "eval/worker.h"

#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "eval/wire.h"
#include "match/lockstep.h"
#include "match/players.h"

namespace keisei::eval {
namespace {

Result<void> write_line(int fd, std::string_view line) {
  if (auto written = write_all(fd, std::as_bytes(std::span(line))); !written) {
    return with_context(std::move(written).error(), "the report");
  }
  return {};
}

Result<net::Snapshot> inherited_snapshot(int fd, std::string_view whose) {
  auto snapshot = net::Snapshot::from_fd(UniqueFd(::dup(fd)));
  if (!snapshot) {
    return with_context(std::move(snapshot).error(), fmt::format("the weights of {}", whose));
  }
  return snapshot;
}

Result<std::unique_ptr<match::Player>> make_opponent(const OpponentRequest& opponent, int threads,
                                                     const EvaluatorFactory& make_evaluator) {
  switch (opponent.kind) {
    case match::PlayerKind::Random:
      return std::make_unique<match::RandomPlayer>();
    case match::PlayerKind::Heuristic:
      return std::make_unique<match::HeuristicPlayer>();
    case match::PlayerKind::Checkpoint:
      break;
  }
  KEISEI_TRY(snapshot, inherited_snapshot(opponent.snapshot_fd, opponent.name));
  KEISEI_TRY(evaluator, make_evaluator(snapshot, threads));
  return std::make_unique<match::NetPlayer>(std::move(evaluator));
}

match::MatchOptions match_options(const EvaluationRequest& request, std::size_t opponent,
                                  const Warned& interrupted) {
  return {.games = request.games,
          .opening_plies = request.opening_plies,
          .seed = request.seed,
          .match = static_cast<std::uint32_t>(opponent),  // other openings against each
          .rules = {.max_plies = request.max_plies, .declaration = true},
          .interrupted = interrupted};
}

}  // namespace

Result<void> run_worker(const EvaluationRequest& request, int report_fd,
                        const EvaluatorFactory& make_evaluator, const Warned& warned) {
  KEISEI_TRY(snapshot, inherited_snapshot(request.candidate_fd, "the candidate"));
  KEISEI_TRY(evaluator, make_evaluator(snapshot, request.threads));
  match::NetPlayer candidate(std::move(evaluator));
  Result<void> written = write_line(report_fd, header_line(request, snapshot.content_hash()));
  int games = 0;
  bool stopped = false;
  const auto interrupted = [&] { return stopped = stopped || warned(); };
  for (std::size_t i = 0; i < request.opponents.size() && written && !stopped; ++i) {
    KEISEI_TRY(opponent, make_opponent(request.opponents[i], request.threads, make_evaluator));
    KEISEI_TRY_VOID(match::play_match(candidate, *opponent, match_options(request, i, interrupted),
                                      [&](const match::GameResult& result) {
                                        written = write_line(
                                            report_fd, game_line(static_cast<int>(i), result));
                                        ++games;
                                        return written.has_value();
                                      }));
  }
  if (written) {
    const auto asked = static_cast<std::size_t>(request.games) * request.opponents.size();
    const bool all = static_cast<std::size_t>(games) == asked;
    written = write_line(report_fd, all ? final_line(games) : early_final_line(games));
  }
  return written;
}

}  // namespace keisei::eval
