#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "env/environment.h"

namespace keisei::match {

enum class PlayerKind {
  Random,      // uniform over the legal moves
  Heuristic,   // the dearest capture, else a promotion, else uniform
  Checkpoint,  // a network from a file
};

/// Who plays, as it is written on the command line and in the configuration.
struct PlayerSpec {
  PlayerKind kind = PlayerKind::Random;
  std::string path;  // of a Checkpoint; else empty

  friend bool operator==(const PlayerSpec&, const PlayerSpec&) = default;
};

/// Reads «random», «heuristic» or the path of a checkpoint (it ends in .safetensors or contains a
/// slash). Fails (Usage) on anything else, naming what is possible. Opens nothing.
[[nodiscard]] Result<PlayerSpec> parse_player_spec(std::string_view text);

/// The name in reports: «random», «heuristic» or the file's name.
[[nodiscard]] std::string display_name(const PlayerSpec& spec);

/// One choice to make: a game of the environment, and the chance that decides it.
struct Turn {
  int game = 0;
  double u = 0;  // uniform in [0, 1), a function of seed, match, game and ply alone
};

/// Chooses moves. A choice is a pure function of the position and of u, so a game comes out the
/// same whichever games are played beside it.
class Player {
 public:
  Player() = default;
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;
  virtual ~Player() = default;

  /// actions[i] becomes a legal action of turns[i].game. REQUIRES: equal sizes, at least one turn,
  /// no game over. Fails, choosing nothing, where it cannot judge a position: then no game at work
  /// has a result. Blocks until done. One thread at a time.
  [[nodiscard]] virtual Result<void> choose(const env::Environment& environment,
                                            std::span<const Turn> turns,
                                            std::span<env::Action> actions) = 0;
};

}  // namespace keisei::match
