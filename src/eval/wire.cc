#include "eval/wire.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "base/printable.h"
#include "env/environment.h"
#include "shogi/legality.h"
#include "shogi/usi_move.h"

namespace keisei::eval {
namespace {

using nlohmann::ordered_json;

constexpr int kVersion = 1;

std::string line_of(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string moves_text(const std::vector<shogi::Move>& moves) {
  std::string text;
  for (const shogi::Move move : moves) {
    text += text.empty() ? "" : " ";
    text += shogi::to_usi(move);
  }
  return text;
}

/// Reads the lines of one report into `report`, in the order header, games, end.
class Reader {
 public:
  Reader(const EvaluationRequest& request, WorkerReport& report)
      : request_(request),
        report_(report),
        replay_(1, {.max_plies = request.max_plies, .declaration = true}) {}

  Result<void> read(std::string_view line) {
    try {
      const auto json = ordered_json::parse(line, keep_flat);
      if (report_.complete || report_.ended_early) {
        return fail("a line after the end of the report");
      }
      if (!begun_) {
        return read_header(json);
      }
      return json.contains("game") ? read_game(json) : read_end(json);
    } catch (const nlohmann::json::exception& error) {
      return fail("{}", printable(error.what()));
    }
  }

 private:
  /// A line is one flat object. What is nested is dropped while it is read: a worker that nests a
  /// million times must not take our stack with it.
  static bool keep_flat(int depth, ordered_json::parse_event_t event, ordered_json& /*value*/) {
    const bool opens = event == ordered_json::parse_event_t::object_start ||
                       event == ordered_json::parse_event_t::array_start;
    return !opens || depth == 0;
  }

  Result<void> read_header(const ordered_json& json) {
    if (json.at("keisei_report") != kVersion) {
      return fail("its version is {}, this program reads {}",
                  printable(json.at("keisei_report").dump()), kVersion);
    }
    if (json.at("id") != request_.id) {
      return fail("it answers another request: {}", printable(json.at("id").dump()));
    }
    report_.weights_hash = json.at("weights");
    begun_ = true;
    return {};
  }

  Result<void> read_game(const ordered_json& json) {
    const int opponent = json.at("opponent").get<int>();
    const int game = json.at("game").get<int>();
    if (opponent < 0 || opponent >= static_cast<int>(request_.opponents.size()) || game < 0 ||
        game >= request_.games) {
      return fail("game {} against opponent {} was not asked for", game, opponent);
    }
    if (!seen_.insert({opponent, game}).second) {
      return fail("game {} against opponent {} comes twice", game, opponent);
    }
    KEISEI_TRY(result, replayed(game, json.at("moves").get<std::string>()));
    if (json.at("ending") != shogi::to_string(result.ending) || json.at("score") != result.score) {
      return fail("game {} claims {} with score {}, but its moves end in {} with score {}", game,
                  printable(json.at("ending").dump()), printable(json.at("score").dump()),
                  shogi::to_string(result.ending), result.score);
    }
    report_.games.push_back({opponent, std::move(result)});
    return {};
  }

  Result<void> read_end(const ordered_json& json) {
    const auto asked = static_cast<std::size_t>(request_.games) * request_.opponents.size();
    const bool early = json.value("partial", false);
    const bool enough = early ? report_.games.size() < asked : report_.games.size() == asked;
    if (json.at("games") != report_.games.size() || !enough) {
      return fail("it ends after {} of {} games and says {}", report_.games.size(), asked,
                  printable(json.at("games").dump()));
    }
    report_.complete = !early;
    report_.ended_early = early;
    return {};
  }

  /// Plays `moves` by the rules and says what they lead to.
  Result<match::GameResult> replayed(int game, std::string_view moves) {
    replay_.reset(0);
    while (!moves.empty()) {
      const std::size_t end = std::min(moves.find(' '), moves.size());
      const auto move = shogi::parse_usi_move(moves.substr(0, end));
      const auto legal = move ? legal_action(*move) : std::nullopt;
      if (!legal) {
        return fail("game {}: '{}' is no legal move at ply {}", game,
                    printable(moves.substr(0, end), 20), replay_.ply(0) + 1);
      }
      replay_.apply(0, *legal);
      moves.remove_prefix(std::min(end + 1, moves.size()));
    }
    const shogi::Verdict verdict = replay_.verdict(0);
    if (verdict.ending == shogi::Ending::None) {
      return fail("game {} is not over after its {} moves", game, replay_.ply(0));
    }
    const bool black_moved_last = replay_.ply(0) % 2 == 1;
    const bool candidate_is_black = game % 2 == 0;
    const auto played = replay_.moves(0);
    return match::GameResult{
        .game = game,
        .candidate_is_black = candidate_is_black,
        .score = black_moved_last == candidate_is_black ? verdict.score : -verdict.score,
        .ending = verdict.ending,
        .moves = {played.begin(), played.end()}};
  }

  /// Nothing where the game is over or the move is not legal.
  std::optional<env::Action> legal_action(shogi::Move move) {
    const shogi::Position& position = replay_.position(0);
    if (replay_.legal_actions(0).empty() || !shogi::is_legal(position, move)) {
      return std::nullopt;
    }
    return env::action_of(position, move);
  }

  const EvaluationRequest& request_;
  WorkerReport& report_;
  env::Environment replay_;
  bool begun_ = false;
  std::set<std::pair<int, int>> seen_;  // opponent, game
};

}  // namespace

std::string header_line(const EvaluationRequest& request, std::string_view weights_hash) {
  return line_of({{"keisei_report", kVersion}, {"id", request.id}, {"weights", weights_hash}});
}

std::string game_line(int opponent, const match::GameResult& result) {
  return line_of({{"opponent", opponent},
                  {"game", result.game},
                  {"score", result.score},
                  {"ending", shogi::to_string(result.ending)},
                  {"moves", moves_text(result.moves)}});
}

std::string final_line(int games) { return line_of({{"games", games}}); }

std::string early_final_line(int games) { return line_of({{"games", games}, {"partial", true}}); }

Bytes longest_report(const EvaluationRequest& request) {
  constexpr std::int64_t kMoveBytes = 6;     // «2b3c+» and a space
  constexpr std::int64_t kFrameBytes = 200;  // of a line, all but its moves
  const auto games = static_cast<std::int64_t>(request.games) *
                     static_cast<std::int64_t>(request.opponents.size());
  return {games * (request.max_plies * kMoveBytes + kFrameBytes) + 2 * kFrameBytes +
          static_cast<std::int64_t>(request.id.size())};
}

Result<WorkerReport> parse_report(std::string_view text, const EvaluationRequest& request) {
  WorkerReport report;
  Reader reader(request, report);
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      report.complete = false;
      return report;
    }
    if (auto read = reader.read(text.substr(0, end)); !read) {
      return with_context(std::move(read).error(), fmt::format("report line {}", number));
    }
    text.remove_prefix(end + 1);
  }
  return report;
}

}  // namespace keisei::eval
