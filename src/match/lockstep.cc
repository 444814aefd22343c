#include "match/lockstep.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/rng.h"
#include "match/openings.h"

namespace keisei::match {
namespace {

/// One match in progress: which game each slot of the environment plays.
class Lockstep {
 public:
  Lockstep(const MatchOptions& options, const OnGameEnd& on_game_end)
      : options_(options),
        on_game_end_(on_game_end),
        environment_(std::min(options.batch, options.games), options.rules),
        game_of_slot_(static_cast<std::size_t>(environment_.games())) {
    for (int slot = 0; slot < environment_.games(); ++slot) {
      begin_next_game(slot);
    }
  }

  Result<void> play(Player& candidate, Player& opponent) {
    while (!stopped_ && playing() && !(options_.interrupted && options_.interrupted())) {
      for (const bool candidate_moves : {true, false}) {
        KEISEI_TRY_VOID(step(candidate_moves ? candidate : opponent, candidate_moves));
      }
    }
    return {};
  }

 private:
  static constexpr int kIdle = -1;

  [[nodiscard]] bool playing() const {
    return std::ranges::any_of(game_of_slot_, [](int game) { return game != kIdle; });
  }
  [[nodiscard]] int game_of(int slot) const {
    return game_of_slot_[static_cast<std::size_t>(slot)];
  }
  [[nodiscard]] static bool candidate_is_black(int game) { return game % 2 == 0; }

  /// Opening plies are common to both games of a pair, so sides alternate from the game's first
  /// ply.
  [[nodiscard]] bool candidate_to_move(int slot) const {
    const bool black = environment_.position(slot).side() == shogi::Color::Black;
    return black == candidate_is_black(game_of(slot));
  }

  void begin_next_game(int slot) {
    const bool any_left = next_game_ < options_.games;
    game_of_slot_[static_cast<std::size_t>(slot)] = any_left ? next_game_++ : kIdle;
    if (!any_left) {
      return;
    }
    environment_.reset(slot);
    const int pair = game_of(slot) / 2;
    for (const env::Action action :
         random_opening(options_.rules, options_.opening_plies, options_.seed, number_of(pair))) {
      environment_.apply(slot, action);
    }
  }

  Result<void> step(Player& player, bool candidate_moves) {
    turns_.clear();
    for (int slot = 0; slot < environment_.games(); ++slot) {
      if (game_of(slot) != kIdle && candidate_to_move(slot) == candidate_moves) {
        turns_.push_back({slot, draw(slot)});
      }
    }
    if (turns_.empty() || stopped_) {
      return {};
    }
    actions_.resize(turns_.size());
    KEISEI_TRY_VOID(player.choose(environment_, turns_, actions_));
    for (std::size_t i = 0; i < turns_.size() && !stopped_; ++i) {
      const int slot = turns_[i].game;
      if (environment_.apply(slot, actions_[i]).terminal) {
        finish(slot, candidate_moves);
      }
    }
    return {};
  }

  /// Of a stream: the match and a game or pair of it. REQUIRES: match < 2^24.
  [[nodiscard]] std::uint64_t number_of(int game_or_pair) const {
    return (std::uint64_t{options_.match} << 32) | static_cast<std::uint32_t>(game_or_pair);
  }

  [[nodiscard]] double draw(int slot) const {
    Rng rng(options_.seed, stream_of(Purpose::Game, number_of(game_of(slot))));
    rng.seek(static_cast<std::uint64_t>(environment_.ply(slot)));
    return rng.uniform();
  }

  void finish(int slot, bool candidate_moved_last) {
    const shogi::Verdict verdict = environment_.verdict(slot);
    const auto moves = environment_.moves(slot);
    stopped_ = !on_game_end_({.game = game_of(slot),
                              .candidate_is_black = candidate_is_black(game_of(slot)),
                              .score = candidate_moved_last ? verdict.score : -verdict.score,
                              .ending = verdict.ending,
                              .moves = {moves.begin(), moves.end()}});
    begin_next_game(slot);
  }

  const MatchOptions& options_;
  const OnGameEnd& on_game_end_;
  env::Environment environment_;
  std::vector<int> game_of_slot_;  // kIdle: no game left for it
  int next_game_ = 0;
  bool stopped_ = false;
  std::vector<Turn> turns_;           // of the player about to choose
  std::vector<env::Action> actions_;  // what it chose
};

}  // namespace

Result<void> play_match(Player& candidate, Player& opponent, const MatchOptions& options,
                        const OnGameEnd& on_game_end) {
  KEISEI_CHECK(options.games >= 1 && options.batch >= 1, "{} games, batch {}", options.games,
               options.batch);
  return Lockstep(options, on_game_end).play(candidate, opponent);
}

}  // namespace keisei::match
