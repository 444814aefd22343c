#pragma once

#include <array>
#include <cstddef>

#include "env/action_map.h"
#include "env/observation.h"
#include "shogi/movegen.h"

namespace keisei::env {

/// The actions of all legal moves of the position that is shown, each once: the same set as
/// Environment::legal_actions, in an order that depends on the observation only. With that nobody
/// has to keep legal lists. REQUIRES: the observation is of a valid position.
class LegalActions {
 public:
  explicit LegalActions(const Observation& seen);

  [[nodiscard]] const Action* begin() const { return actions_.data(); }
  [[nodiscard]] const Action* end() const { return actions_.data() + size_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  /// REQUIRES: action is one of them.
  [[nodiscard]] std::size_t index_of(Action action) const;

 private:
  std::array<Action, shogi::MoveList::kCapacity> actions_;  // the first size_ are set
  std::size_t size_ = 0;
};

}  // namespace keisei::env
