#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "shogi/position.h"
#include "shogi/types.h"

namespace keisei::env {

/// Policy planes, each over the square where the piece arrives: ten directions of movement
/// (forward, forward left, forward right, left, right, back, back left, back right, knight left,
/// knight right), the same ten with promotion, then drops of P L N S B R G.
inline constexpr int kActionPlanes = 27;
inline constexpr int kActions = kActionPlanes * 81;

/// plane * 81 + square, in 0..2186. Everything is in the mover's view: for White the board is
/// turned by 180 degrees. Squares are numbered as in the observation: file * 9 + rank, 1a of the
/// mover's view is 0. So policy logits [27][9][9] line up with the input planes.
using Action = std::uint16_t;

/// The source needs no place in the action: only the nearest own piece can arrive from a direction,
/// so legal moves of one position have distinct actions.
/// REQUIRES: move is legal in position.
[[nodiscard]] Action action_of(const shogi::Position& position, shogi::Move move);

/// actions[i] becomes that of moves[i]. REQUIRES: equal sizes, and all are legal in position.
void actions_of(const shogi::Position& position, std::span<const shogi::Move> moves,
                std::span<Action> actions);

/// The legal move that has this action, if there is one. Any value of Action may be asked.
[[nodiscard]] std::optional<shogi::Move> move_of(const shogi::Position& position, Action action);

}  // namespace keisei::env
