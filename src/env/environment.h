#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "env/action_map.h"
#include "env/observation.h"
#include "shogi/position.h"
#include "shogi/rules.h"

namespace keisei::env {

struct StepResult {
  float reward = 0;       // -1, 0 or +1 for the side that just moved; 0 while the game goes on
  bool terminal = false;  // ending is not None
  shogi::Ending ending = shogi::Ending::None;
};

/// N games of shogi side by side, for self-play and for matches.
///   observation, legal_actions -> (choice) -> apply -> StepResult -> (terminal: reset)
/// After each move the game is judged in this order: fourfold repetition (draw, or loss of the side
/// that gave perpetual check), no legal move (loss of the side to move), declaration, ply cap
/// (draw). A side that may declare by the 27-point rule does so by itself, as soon as it is to
/// move: that game ends with reward -1 for the move that let it happen.
///
/// Threads: different games may be used from different threads at the same time; one game from one
/// thread at a time. Stepping allocates nothing. Every `game` must be in 0..games()-1.
class Environment {
 public:
  /// All games stand at the start position. REQUIRES: games >= 1 and rules in range.
  Environment(int games, shogi::GameRules rules);
  ~Environment();
  Environment(Environment&&) noexcept;
  Environment& operator=(Environment&&) noexcept;

  [[nodiscard]] int games() const { return static_cast<int>(slots_.size()); }
  [[nodiscard]] const shogi::GameRules& rules() const { return rules_; }

  /// Begins a new game from the start position.
  void reset(int game);
  /// Begins a new game from `sfen` with ply 0 and an empty history. Fails, and leaves the game as
  /// it was, where the text is no valid position, or where a game would be over before its first
  /// move.
  Result<void> reset(int game, std::string_view sfen);
  /// Brings the game to where `moves` lead from `sfen`, for a checkpoint. Fails where reset does or
  /// a move is not legal or follows the end of the game; the game is then at the start position.
  Result<void> replay(int game, std::string_view sfen, std::span<const shogi::Move> moves);

  /// The mover's view of the current position, also of a finished game. Valid until the game is
  /// stepped or reset.
  [[nodiscard]] const Observation& observation(int game) const;
  /// observations[i] becomes that of games[i]. REQUIRES: equal sizes.
  void observe(std::span<const int> games, std::span<Observation> observations) const;

  /// The actions of all legal moves in the generator's order (the same for the same position, not
  /// sorted); empty when the game is over. At most 593. Generated once per ply; valid until the
  /// game is stepped or reset.
  [[nodiscard]] std::span<const Action> legal_actions(int game) const;

  /// Plays one move. REQUIRES: the game is not over and action is one of legal_actions(game).
  StepResult apply(int game, Action action);
  /// The same for each games[i], actions[i]. REQUIRES: equal sizes, no game twice.
  void apply(std::span<const int> games, std::span<const Action> actions,
             std::span<StepResult> results);

  /// The moves of this game from its start. Valid until the game is stepped or reset.
  [[nodiscard]] std::span<const shogi::Move> moves(int game) const;
  [[nodiscard]] std::string start_sfen(int game) const;
  [[nodiscard]] const shogi::Position& position(int game) const;
  /// Plies played in this game: moves(game).size().
  [[nodiscard]] int ply(int game) const;
  /// Whether and how the game is over.
  [[nodiscard]] shogi::Verdict verdict(int game) const;

 private:
  struct Slot;

  [[nodiscard]] Slot& slot(int game) const;

  shogi::GameRules rules_;
  std::vector<std::unique_ptr<Slot>> slots_;  // apart, so that threads share no cache line
};

}  // namespace keisei::env
