#include "env/action_map.h"

#include <array>

#include "base/check.h"
#include "shogi/legality.h"

namespace keisei::env {
namespace {

using shogi::Color;
using shogi::Kind;
using shogi::Move;
using shogi::Piece;
using shogi::Position;
using shogi::Square;

struct Delta {
  int file;  // + is the mover's left
  int rank;  // - is forward
};

constexpr int kDirections = 10;
constexpr int kFirstKnight = 8;
constexpr int kDropPlane = 2 * kDirections;
constexpr std::uint8_t kNoDirection = 255;
constexpr std::array<Delta, kDirections> kDeltas = {
    {{0, -1}, {1, -1}, {-1, -1}, {1, 0}, {-1, 0}, {0, 1}, {1, 1}, {-1, 1}, {1, -2}, {-1, -2}}};

using DirectionTable = std::array<std::array<std::uint8_t, 81>, 81>;  // [from][to], mover's view

constexpr bool on_board(int file, int rank) {
  return file >= 0 && file < 9 && rank >= 0 && rank < 9;
}

constexpr DirectionTable make_directions() {
  DirectionTable table{};
  for (Square from = 0; from < 81; ++from) {
    auto& row = table[static_cast<std::size_t>(from)];
    row.fill(kNoDirection);
    for (int direction = 0; direction < kDirections; ++direction) {
      const Delta delta = kDeltas[static_cast<std::size_t>(direction)];
      const int reach = direction < kFirstKnight ? 8 : 1;
      for (int step = 1; step <= reach; ++step) {
        const int file = shogi::file_of(from) + step * delta.file;
        const int rank = shogi::rank_of(from) + step * delta.rank;
        if (on_board(file, rank)) {
          row[static_cast<std::size_t>(shogi::square_at(file, rank))] =
              static_cast<std::uint8_t>(direction);
        }
      }
    }
  }
  return table;
}

constexpr DirectionTable kDirectionTable = make_directions();

/// Between the board and the mover's view, both ways.
constexpr Square turned_for(Color mover, Square square) {
  return mover == Color::Black ? square : 80 - square;
}

Action action_for(Color mover, Move move) {
  const Square to = turned_for(mover, move.to());
  int plane = kDropPlane - 1;
  if (move.is_drop()) {
    plane += shogi::index(move.dropped());
  } else {
    const Square from = turned_for(mover, move.from());
    const std::uint8_t direction =
        kDirectionTable[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)];
    KEISEI_CHECK(direction != kNoDirection, "no piece moves from {} to {}", from, to);
    plane = direction + (move.is_promotion() ? kDirections : 0);
  }
  return static_cast<Action>(plane * shogi::kSquareCount + to);
}

/// The nearest occupied square (mover's view) from which something could come to `to` in this
/// direction.
std::optional<Square> source_of(const Position& position, Square to, int direction) {
  const Delta delta = kDeltas[static_cast<std::size_t>(direction)];
  const int reach = direction < kFirstKnight ? 8 : 1;
  for (int step = 1; step <= reach; ++step) {
    const int file = shogi::file_of(to) - step * delta.file;
    const int rank = shogi::rank_of(to) - step * delta.rank;
    if (!on_board(file, rank)) {
      break;
    }
    const Square from = shogi::square_at(file, rank);
    if (position.at(turned_for(position.side(), from)) != Piece::None) {
      return from;
    }
  }
  return std::nullopt;
}

}  // namespace

Action action_of(const Position& position, Move move) { return action_for(position.side(), move); }

void actions_of(const Position& position, std::span<const Move> moves, std::span<Action> actions) {
  KEISEI_CHECK(moves.size() == actions.size(), "{} moves, {} actions", moves.size(),
               actions.size());
  const Color mover = position.side();
  for (std::size_t i = 0; i < moves.size(); ++i) {
    actions[i] = action_for(mover, moves[i]);
  }
}

std::optional<Move> move_of(const Position& position, Action action) {
  if (action >= kActions) {
    return std::nullopt;
  }
  const int plane = action / shogi::kSquareCount;
  const Square view_to = action % shogi::kSquareCount;
  const Square to = turned_for(position.side(), view_to);
  Move move = Move::none();
  if (plane >= kDropPlane) {
    move = Move::drop(static_cast<Kind>(plane - kDropPlane + 1), to);
  } else {
    const std::optional<Square> source = source_of(position, view_to, plane % kDirections);
    if (!source) {
      return std::nullopt;
    }
    const Square from = turned_for(position.side(), *source);
    move = plane < kDirections ? Move::board(from, to) : Move::promotion(from, to);
  }
  return shogi::is_legal(position, move) ? std::optional(move) : std::nullopt;
}

}  // namespace keisei::env
