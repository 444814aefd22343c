#pragma once

#include <memory>
#include <vector>

#include "match/player.h"
#include "net/evaluator.h"

namespace keisei::match {

/// Uniform over the legal moves.
class RandomPlayer final : public Player {
 public:
  Result<void> choose(const env::Environment& environment, std::span<const Turn> turns,
                      std::span<env::Action> actions) override;
};

/// Captures the dearest piece it can; where it can capture nothing it promotes; else uniform.
/// Equals are drawn. A fixed opponent that is a little harder than RandomPlayer.
class HeuristicPlayer final : public Player {
 public:
  Result<void> choose(const env::Environment& environment, std::span<const Turn> turns,
                      std::span<env::Action> actions) override;
};

/// Draws from a network's policy, softmax over the legal moves at temperature 1, without search:
/// the very distribution that training improves.
///   observations -> evaluator, in one batch -> policy logits -> draw
class NetPlayer final : public Player {
 public:
  explicit NetPlayer(std::unique_ptr<net::Evaluator> evaluator);

  Result<void> choose(const env::Environment& environment, std::span<const Turn> turns,
                      std::span<env::Action> actions) override;

 private:
  std::unique_ptr<net::Evaluator> evaluator_;
  std::vector<env::Observation> observations_;  // [turns]
  std::vector<float> policy_;                   // [turns][2187]
  std::vector<float> wdl_;                      // [turns][3]
  std::vector<float> log_probs_;                // [legal actions of one turn]
};

}  // namespace keisei::match
