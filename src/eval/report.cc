#include "eval/report.h"

#include <map>
#include <utility>

#include "rating/elo.h"
#include "rating/score.h"
#include "shogi/usi_move.h"

namespace keisei::eval {
namespace {

void count(const match::GameResult& game, telemetry::OpponentResult& result) {
  ++result.games;
  ++(game.score > 0 ? result.wins : game.score < 0 ? result.losses : result.draws);
  ++result.terminations[std::string(shogi::to_string(game.ending))];
  result.mean_plies += static_cast<double>(game.moves.size());  // a sum until all are counted
}

std::vector<telemetry::OpponentResult> results_by_opponent(const WorkerReport& report,
                                                           const EvaluationRequest& request) {
  std::vector<telemetry::OpponentResult> results;
  results.reserve(request.opponents.size());
  for (const OpponentRequest& opponent : request.opponents) {
    results.push_back({.name = opponent.name});
  }
  for (const ReportedGame& game : report.games) {
    count(game.result, results[static_cast<std::size_t>(game.opponent)]);
  }
  for (telemetry::OpponentResult& result : results) {
    if (result.games > 0) {
      result.mean_plies /= static_cast<double>(result.games);
    }
  }
  return results;
}

/// Both games of a pair count together; a game whose partner is missing counts alone.
rating::MatchCounts count_pairs(const WorkerReport& report) {
  std::map<std::pair<int, int>, std::vector<int>> scores;  // opponent, pair -> score of each game
  for (const auto& [opponent, game] : report.games) {
    scores[{opponent, game.game / 2}].push_back(game.score);
  }
  rating::MatchCounts counts;
  for (const auto& [pair, games] : scores) {
    if (games.size() == 2) {
      const int half_points = games[0] + games[1] + 2;  // of both games
      ++counts.pairs.at(static_cast<std::size_t>(half_points));
    } else {
      const int score = games[0];
      ++(score > 0 ? counts.single.wins : score < 0 ? counts.single.losses : counts.single.draws);
    }
  }
  return counts;
}

const char* word(int score) { return score > 0 ? "won" : score < 0 ? "lost" : "drawn"; }

}  // namespace

void summarise(const WorkerReport& report, const EvaluationRequest& request,
               telemetry::EvaluationRecord& record) {
  record.opponents = results_by_opponent(report, request);
  record.partial = !report.complete && !report.games.empty();
  const auto score = rating::score_of(count_pairs(report));
  if (score) {
    const rating::EloDifference elo = rating::elo_of(*score);
    record.score = {.value = score->value, .low = score->low, .high = score->high};
    record.elo = {.value = elo.value, .low = elo.low, .high = elo.high};
  }
}

std::string games_text(const WorkerReport& report, const EvaluationRequest& request) {
  std::string text;
  for (const auto& [opponent, game] : report.games) {
    text +=
        fmt::format("# game {} against {}: {} as {} after {} plies, {}\nposition startpos moves",
                    game.game, request.opponents[static_cast<std::size_t>(opponent)].name,
                    word(game.score), game.candidate_is_black ? "Black" : "White",
                    game.moves.size(), shogi::to_string(game.ending));
    for (const shogi::Move move : game.moves) {
      text += ' ';
      text += shogi::to_usi(move);
    }
    text += "\n";
  }
  return text;
}

}  // namespace keisei::eval
