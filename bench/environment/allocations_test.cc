// That stepping, showing and expanding games allocate nothing: counted, with operator new replaced.
#include "allocations.h"

#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <vector>

#include "base/rng.h"
#include "env/environment.h"
#include "env/legal_actions.h"

namespace keisei::env {
namespace {

struct alignas(64) CacheLine {
  char bytes[64];
};

TEST(Allocations, CountsThemAlsoWhereTheyAreAligned) {
  const std::int64_t before = allocations();
  const auto plain = std::make_unique<std::int64_t>(1);
  EXPECT_EQ(allocations() - before, 1);
  const auto aligned = std::make_unique<CacheLine>();
  EXPECT_EQ(allocations() - before, 2);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(aligned.get()) % 64, 0);
  const auto several = std::make_unique<CacheLine[]>(3);
  EXPECT_EQ(allocations() - before, 3);
}

TEST(Allocations, GamesFromStartToEndMakeNone) {
  constexpr int kGames = 16;
  constexpr int kPlies = 1000;
  Environment environment(kGames, {.max_plies = 300, .declaration = true});
  Rng random(7, 0);
  std::vector<int> games(kGames);
  std::iota(games.begin(), games.end(), 0);
  std::vector<Action> actions(kGames);
  std::vector<StepResult> results(kGames);
  std::vector<Observation> seen(kGames);
  std::vector<float> planes(std::size_t{kGames} * kPlaneFloats);
  int ended = 0;
  std::size_t differences = 0;
  const std::int64_t before = allocations();
  for (int ply = 0; ply < kPlies; ++ply) {
    for (const int game : games) {
      const std::span<const Action> legal = environment.legal_actions(game);
      actions[static_cast<std::size_t>(game)] =
          legal[random.below(static_cast<std::uint32_t>(legal.size()))];
    }
    environment.apply(games, actions, results);
    environment.observe(games, seen);  // of the finished games too
    expand_planes(seen, planes);
    for (const int game : games) {
      const bool terminal = results[static_cast<std::size_t>(game)].terminal;
      const std::size_t made_anew = LegalActions(seen[static_cast<std::size_t>(game)]).size();
      const std::size_t kept = environment.legal_actions(game).size();
      differences += !terminal && made_anew != kept ? 1 : 0;
      if (terminal) {
        ++ended;
        environment.reset(game);
      }
    }
  }
  EXPECT_EQ(allocations() - before, 0);
  EXPECT_EQ(differences, 0);
  EXPECT_GT(ended, kGames);
}

}  // namespace
}  // namespace keisei::env
