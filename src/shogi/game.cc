#include "shogi/game.h"

#include "base/check.h"

namespace keisei::shogi {
namespace {

constexpr int kMaxPlyCap = 32767;

}  // namespace

Game::Game(GameRules rules)
    : rules_(rules),
      start_(Position::start()),
      position_(Position::start()),
      history_(rules.max_plies) {
  KEISEI_CHECK(rules.max_plies >= 1 && rules.max_plies <= kMaxPlyCap,
               "max_plies {} is not in 1..{}", rules.max_plies, kMaxPlyCap);
  moves_.reserve(static_cast<std::size_t>(rules.max_plies));
  begin(Position::start());
}

void Game::reset() { begin(Position::start()); }

Result<void> Game::reset(const Position& start) {
  MoveList moves;
  generate_legal(start, moves);
  if (moves.empty()) {
    return fail("the side to move has no legal move, so no game can start there");
  }
  if (rules_.declaration && can_declare(start)) {
    return fail("the side to move has won by declaration, so no game can start there");
  }
  begin(start);
  return {};
}

void Game::begin(const Position& start) {
  start_ = start;
  position_ = start;
  history_.reset(start.key());
  moves_.clear();
  verdict_ = {};
  in_check_ = start.in_check();
  generate_legal(start, legal_);
}

void Game::play(Move move) {
  KEISEI_CHECK(!is_over(), "a move after the end of the game");
  (void)position_.do_move(move);
  moves_.push_back(move);
  in_check_ = position_.in_check();
  history_.push(position_.key(), in_check_);
  verdict_ = judge();
}

Verdict Game::judge() {
  if (const Verdict repetition = history_.verdict(); repetition.ending != Ending::None) {
    return repetition;
  }
  generate_legal(position_, legal_);
  if (legal_.empty()) {
    return {.ending = in_check_ ? Ending::Checkmate : Ending::NoLegalMoves, .score = 1};
  }
  if (rules_.declaration && can_declare(position_)) {
    return {.ending = Ending::Declaration, .score = -1};
  }
  if (ply() >= rules_.max_plies) {
    return {.ending = Ending::PlyCap, .score = 0};
  }
  return {};
}

}  // namespace keisei::shogi
