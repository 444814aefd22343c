#include "match/openings.h"

#include "base/check.h"
#include "base/rng.h"
#include "env/environment.h"

namespace keisei::match {

std::vector<env::Action> random_opening(const shogi::GameRules& rules, int plies,
                                        std::uint64_t seed, std::uint64_t number) {
  KEISEI_CHECK(plies >= 0 && plies < rules.max_plies, "an opening of {} plies", plies);
  Rng rng(seed, stream_of(Purpose::Opening, number));
  env::Environment environment(1, rules);
  std::vector<env::Action> opening;
  while (static_cast<int>(opening.size()) < plies) {
    const auto legal = environment.legal_actions(0);
    const env::Action action = legal[rng.below(static_cast<std::uint32_t>(legal.size()))];
    opening.push_back(action);
    if (environment.apply(0, action).terminal) {  // a mate in a handful of plies: draw another one
      environment.reset(0);
      opening.clear();
    }
  }
  return opening;
}

}  // namespace keisei::match
