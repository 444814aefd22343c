#pragma once

#include <cstdint>
#include <vector>

#include "env/action_map.h"
#include "shogi/rules.h"

namespace keisei::match {

/// `plies` uniformly random moves from the start position that do not end the game: what both games
/// of a pair begin with, so that equal players do not repeat one game. `number` names the
/// pair among all of the seed's. A pure function of its arguments. REQUIRES: 0 <= plies <
/// rules.max_plies.
[[nodiscard]] std::vector<env::Action> random_opening(const shogi::GameRules& rules, int plies,
                                                      std::uint64_t seed, std::uint64_t number);

}  // namespace keisei::match
