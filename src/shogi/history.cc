#include "shogi/history.h"

namespace keisei::shogi {

GameHistory::GameHistory(int plies) {
  entries_.reserve(static_cast<std::size_t>(plies) + 1);
  reset({});
}

void GameHistory::reset(PositionKey start) {
  entries_.clear();
  last_in_slot_.fill(-1);
  add(start, 0);
}

void GameHistory::push(PositionKey key, bool gives_check) {
  int checks = 0;
  if (gives_check) {
    checks = entries_.size() >= 2 ? entries_[entries_.size() - 2].checks_in_row + 1 : 1;
  }
  add(key, checks);
}

Verdict GameHistory::verdict() const {
  const Entry& last = entries_.back();
  if (last.earlier < 3) {
    return {};
  }
  const int moves_each = (ply() - last.first) / 2;
  const bool mover_checks = last.checks_in_row >= moves_each;
  const bool other_checks = entries_[entries_.size() - 2].checks_in_row >= moves_each;
  if (mover_checks == other_checks) {
    return {.ending = Ending::Repetition, .score = 0};
  }
  return {.ending = Ending::PerpetualCheck, .score = mover_checks ? -1 : 1};
}

void GameHistory::add(PositionKey key, int checks_in_row) {
  const auto ply = static_cast<std::int32_t>(entries_.size());
  std::int32_t& last = last_in_slot_[slot_of(key)];
  Entry entry = {.key = key,
                 .previous_in_slot = last,
                 .first = ply,
                 .earlier = 0,
                 .checks_in_row = checks_in_row};
  for (std::int32_t i = last; i >= 0; i = entries_[static_cast<std::size_t>(i)].previous_in_slot) {
    const Entry& other = entries_[static_cast<std::size_t>(i)];
    if (other.key == key) {
      entry.first = other.first;
      entry.earlier = other.earlier + 1;
      break;
    }
  }
  last = ply;
  entries_.push_back(entry);
}

std::size_t GameHistory::slot_of(PositionKey key) {
  return static_cast<std::size_t>(key.board ^ (key.hands * 0x9E3779B97F4A7C15U >> 32)) % kSlots;
}

}  // namespace keisei::shogi
