#include "env/environment.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "shogi/game.h"
#include "shogi/sfen.h"
#include "shogi/usi_move.h"

namespace keisei::env {

using shogi::Game;
using shogi::GameRules;
using shogi::Move;

/// One game and what is derived from it once per ply.
struct Environment::Slot {
  explicit Slot(GameRules rules) : game(rules) { refresh(); }

  void refresh() {
    const auto moves = game.legal_moves();
    action_count = moves.size();
    actions_of(game.position(), moves, std::span(actions).first(action_count));
    observation = env::observe(game.position(), {.repetition = game.earlier_occurrences(),
                                                 .in_check = game.in_check(),
                                                 .ply = game.ply(),
                                                 .ply_cap = game.rules().max_plies});
  }

  Game game;
  Observation observation;
  std::array<Action, shogi::MoveList::kCapacity> actions;  // the first action_count are set
  std::size_t action_count = 0;
};

Environment::Environment(int games, GameRules rules) : rules_(rules) {
  KEISEI_CHECK(games >= 1, "an environment of {} games", games);
  slots_.reserve(static_cast<std::size_t>(games));
  for (int i = 0; i < games; ++i) {
    slots_.push_back(std::make_unique<Slot>(rules));
  }
}

Environment::~Environment() = default;
Environment::Environment(Environment&&) noexcept = default;
Environment& Environment::operator=(Environment&&) noexcept = default;

Environment::Slot& Environment::slot(int game) const {
  KEISEI_CHECK(game >= 0 && game < games(), "game {} of {}", game, games());
  return *slots_[static_cast<std::size_t>(game)];
}

void Environment::reset(int game) {
  slot(game).game.reset();
  slot(game).refresh();
}

Result<void> Environment::reset(int game, std::string_view sfen) {
  KEISEI_TRY(position, shogi::parse_sfen(sfen));
  if (const Result<void> set = slot(game).game.reset(position); !set) {
    return with_context(set.error(), fmt::format("SFEN {}", shogi::in_quotes(sfen)));
  }
  slot(game).refresh();
  return {};
}

Result<void> Environment::replay(int game, std::string_view sfen, std::span<const Move> moves) {
  reset(game);
  KEISEI_TRY_VOID(reset(game, sfen));
  Game& played = slot(game).game;
  for (const Move move : moves) {
    if (std::ranges::count(played.legal_moves(), move) == 0) {
      const int ply = played.ply();
      const bool over = played.is_over();
      reset(game);
      return fail("move {} of {} {}", ply + 1, moves.size(),
                  over ? "comes after the end of the game" : "is not legal");
    }
    played.play(move);
  }
  slot(game).refresh();
  return {};
}

const Observation& Environment::observation(int game) const { return slot(game).observation; }

void Environment::observe(std::span<const int> games, std::span<Observation> observations) const {
  KEISEI_CHECK(games.size() == observations.size(), "{} games, {} observations", games.size(),
               observations.size());
  for (std::size_t i = 0; i < games.size(); ++i) {
    observations[i] = observation(games[i]);
  }
}

std::span<const Action> Environment::legal_actions(int game) const {
  const Slot& current = slot(game);
  return {current.actions.data(), current.action_count};
}

StepResult Environment::apply(int game, Action action) {
  Slot& current = slot(game);
  const auto actions = legal_actions(game);
  const auto found = std::ranges::find(actions, action);
  KEISEI_CHECK(found != actions.end(), "action {} is not legal in game {}", action, game);
  current.game.play(current.game.legal_moves()[static_cast<std::size_t>(found - actions.begin())]);
  current.refresh();
  const shogi::Verdict& verdict = current.game.verdict();
  return {.reward = static_cast<float>(verdict.score),
          .terminal = current.game.is_over(),
          .ending = verdict.ending};
}

void Environment::apply(std::span<const int> games, std::span<const Action> actions,
                        std::span<StepResult> results) {
  KEISEI_CHECK(games.size() == actions.size() && games.size() == results.size(),
               "{} games, {} actions, {} results", games.size(), actions.size(), results.size());
  for (std::size_t i = 0; i < games.size(); ++i) {
    results[i] = apply(games[i], actions[i]);
  }
}

std::span<const Move> Environment::moves(int game) const { return slot(game).game.moves(); }

std::string Environment::start_sfen(int game) const {
  return shogi::to_sfen(slot(game).game.start());
}

const shogi::Position& Environment::position(int game) const { return slot(game).game.position(); }

int Environment::ply(int game) const { return slot(game).game.ply(); }

shogi::Verdict Environment::verdict(int game) const { return slot(game).game.verdict(); }

}  // namespace keisei::env
