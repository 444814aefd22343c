#include "eval/strategy.h"

#include <algorithm>

namespace keisei::eval {

int games_against_each(Strategy strategy, int games, std::size_t opponents) {
  switch (strategy) {
    case Strategy::Single:
      return games;
    case Strategy::Shared:
      return opponents == 1
                 ? games
                 : 2 * std::max(1,
                                static_cast<int>(static_cast<std::size_t>(games) / opponents / 2));
  }
  return games;
}

}  // namespace keisei::eval
