#pragma once

#include <cstdint>
#include <string_view>

#include "shogi/position.h"

namespace keisei::shogi {

struct GameRules {
  int max_plies = 512;      // plies from the start of the game after which it is a draw, 1..32767
  bool declaration = true;  // the 27-point declaration ends the game by itself
};

/// Why a game is over.
enum class Ending : std::uint8_t {
  None,            // it goes on
  Checkmate,       // the side to move is in check and has no legal move: it loses
  NoLegalMoves,    // not in check, no legal move: it loses all the same
  Repetition,      // the fourth occurrence of a position: draw
  PerpetualCheck,  // the fourth occurrence, and one side gave check with each of its moves: it
                   // loses
  Declaration,     // the side to move may declare by the 27-point rule: it wins
  PlyCap           // max_plies were played: draw
};
inline constexpr int kEndingCount = 7;

/// «checkmate», «no_legal_moves», ...: stable names for records and JSON; «none» for None.
[[nodiscard]] std::string_view to_string(Ending ending);

/// The state of a game after a move.
struct Verdict {
  Ending ending = Ending::None;
  int score = 0;  // -1, 0 or +1 for the side that made the last move

  friend bool operator==(const Verdict&, const Verdict&) = default;
};

/// Whether the side to move may declare by the CSA 27-point rule: its king stands in the far three
/// ranks and not in check, ten or more of its other pieces stand there too, and those and its hand
/// count at least 28 points (Black) or 27 (White); bishop and rook, promoted or not, count five,
/// any other piece one.
[[nodiscard]] bool can_declare(const Position& position);

}  // namespace keisei::shogi
