#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "shogi/position.h"
#include "shogi/rules.h"

namespace keisei::shogi {

/// The positions of one game, the initial one included, for repetition and perpetual check.
///   key and check after each move -> chain of equal hash slots -> occurrences -> verdict
/// Allocates only when a game grows longer than `plies`.
class GameHistory {
 public:
  explicit GameHistory(int plies);

  /// Forgets everything; `start` occurred once.
  void reset(PositionKey start);
  /// Adds the position after a move. `gives_check`: its side to move is in check.
  void push(PositionKey key, bool gives_check);

  /// Positions after the initial one.
  [[nodiscard]] int ply() const { return static_cast<int>(entries_.size()) - 1; }
  /// How often the last position occurred before it did now.
  [[nodiscard]] int earlier_occurrences() const { return entries_.back().earlier; }

  /// At the fourth occurrence: PerpetualCheck against the side all of whose moves since the first
  /// occurrence gave check, Repetition (draw) if there is no such side or both are; else None.
  [[nodiscard]] Verdict verdict() const;

 private:
  struct Entry {
    PositionKey key;
    std::int32_t previous_in_slot;  // ply of the one before in the same slot, -1 if none
    std::int32_t first;             // ply of the first occurrence of this position
    std::int32_t earlier;
    std::int32_t checks_in_row;  // moves up to this one by which its mover gave check without pause
  };
  static constexpr std::size_t kSlots = 1024;

  void add(PositionKey key, int checks_in_row);
  static std::size_t slot_of(PositionKey key);

  std::vector<Entry> entries_;
  std::array<std::int32_t, kSlots> last_in_slot_;  // ply, -1 if none
};

}  // namespace keisei::shogi
