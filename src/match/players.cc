#include "match/players.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "net/policy.h"

namespace keisei::match {
namespace {

/// The entry at u of `count` equally likely ones.
std::size_t uniform_index(double u, std::size_t count) {
  return std::min(static_cast<std::size_t>(u * static_cast<double>(count)), count - 1);
}

/// What a capture is worth to HeuristicPlayer, by shogi::Kind: pawns, about as players count.
constexpr std::array<int, shogi::kKindCount> kCaptureValue = {0, 1, 3, 4, 5, 8,  10, 6,
                                                              0, 5, 5, 5, 6, 12, 14};

int desire(const shogi::Position& position, shogi::Move move) {
  const shogi::Piece captured = move.is_drop() ? shogi::Piece::None : position.at(move.to());
  const auto kind = static_cast<std::size_t>(shogi::index(shogi::kind_of(captured)));
  return 2 * kCaptureValue[kind] + (move.is_promotion() ? 1 : 0);
}

env::Action heuristic_choice(const env::Environment& environment, const Turn& turn) {
  const shogi::Position& position = environment.position(turn.game);
  int best = -1;
  std::vector<env::Action> equals;
  for (const env::Action action : environment.legal_actions(turn.game)) {
    const auto move = env::move_of(position, action);
    KEISEI_CHECK(move.has_value(), "legal action {} has no move", action);
    const int value = desire(position, *move);
    if (value > best) {
      best = value;
      equals.clear();
    }
    if (value == best) {
      equals.push_back(action);
    }
  }
  return equals[uniform_index(turn.u, equals.size())];
}

}  // namespace

Result<void> RandomPlayer::choose(const env::Environment& environment, std::span<const Turn> turns,
                                  std::span<env::Action> actions) {
  std::ranges::transform(turns, actions.begin(), [&environment](const Turn& turn) {
    const auto legal = environment.legal_actions(turn.game);
    return legal[uniform_index(turn.u, legal.size())];
  });
  return {};
}

Result<void> HeuristicPlayer::choose(const env::Environment& environment,
                                     std::span<const Turn> turns, std::span<env::Action> actions) {
  std::ranges::transform(turns, actions.begin(), [&environment](const Turn& turn) {
    return heuristic_choice(environment, turn);
  });
  return {};
}

NetPlayer::NetPlayer(std::unique_ptr<net::Evaluator> evaluator)
    : evaluator_(std::move(evaluator)) {}

Result<void> NetPlayer::choose(const env::Environment& environment, std::span<const Turn> turns,
                               std::span<env::Action> actions) {
  observations_.clear();
  for (const Turn& turn : turns) {
    observations_.push_back(environment.observation(turn.game));
  }
  policy_.resize(turns.size() * net::kPolicyLogits);
  wdl_.resize(turns.size() * net::kWdlLogits);
  KEISEI_TRY_VOID(evaluator_->evaluate(observations_, policy_, wdl_));
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const auto legal = environment.legal_actions(turns[i].game);
    log_probs_.resize(legal.size());
    KEISEI_TRY_VOID(net::legal_log_softmax(
        std::span(policy_).subspan(i * net::kPolicyLogits, net::kPolicyLogits), legal, log_probs_));
    actions[i] = legal[net::sample_index(log_probs_, turns[i].u)];
  }
  return {};
}

}  // namespace keisei::match
