#include "app/playouts_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "shogi/game.h"

namespace keisei::app {
namespace {

constexpr int kMaxGames = 100'000'000;
constexpr int kMaxThreads = 1024;

struct PlayoutsOptions {
  int games = 1000;
  std::uint64_t seed = 1;
  int threads = 1;
  bool json = false;
};

struct PlayoutsCount {
  std::int64_t plies = 0;
  std::array<std::int64_t, shogi::kEndingCount> endings{};  // games, by Ending

  void add(const PlayoutsCount& other) {
    plies += other.plies;
    for (std::size_t i = 0; i < endings.size(); ++i) {
      endings[i] += other.endings[i];
    }
  }
};

void play_at_random(shogi::Game& game, Rng rng) {
  game.reset();
  while (!game.is_over()) {
    const auto moves = game.legal_moves();
    game.play(moves[rng.below(static_cast<std::uint32_t>(moves.size()))]);
  }
}

/// Takes games by number until none is left. Each draws from its own stream, so what is played does
/// not depend on who plays it.
PlayoutsCount play_games(const PlayoutsOptions& options, std::atomic<int>& next) {
  PlayoutsCount count;
  shogi::Game game(shogi::GameRules{});
  for (int number = next++; number < options.games; number = next++) {
    play_at_random(game, Rng(options.seed, static_cast<std::uint64_t>(number)));
    count.plies += game.ply();
    ++count.endings[static_cast<std::size_t>(game.verdict().ending)];
  }
  return count;
}

PlayoutsCount play_on_threads(const PlayoutsOptions& options) {
  std::atomic<int> next = 0;
  const int used = std::min(options.threads, options.games);
  std::vector<PlayoutsCount> counts(static_cast<std::size_t>(used));
  {
    std::vector<std::jthread> threads;
    threads.reserve(counts.size());
    for (PlayoutsCount& count : counts) {
      threads.emplace_back([&] { count = play_games(options, next); });
    }
  }
  PlayoutsCount total;
  for (const PlayoutsCount& count : counts) {
    total.add(count);
  }
  return total;
}

void print_json(const PlayoutsOptions& options, const PlayoutsCount& count, double elapsed) {
  nlohmann::ordered_json endings;
  for (int i = 1; i < shogi::kEndingCount; ++i) {
    endings[std::string(to_string(static_cast<shogi::Ending>(i)))] =
        count.endings[static_cast<std::size_t>(i)];
  }
  const nlohmann::ordered_json document = {
      {"games", options.games},
      {"seed", options.seed},
      {"threads", options.threads},
      {"plies", count.plies},
      {"endings", endings},
      {"seconds", elapsed},
      {"plies_per_second", static_cast<double>(count.plies) / elapsed}};
  fmt::print("{}\n", document.dump(2));
}

Result<int> run_playouts(const PlayoutsOptions& options) {
  const MonotonicTime start = MonotonicClock::now();
  const PlayoutsCount count = play_on_threads(options);
  const double elapsed = seconds(MonotonicClock::now() - start);
  if (options.json) {
    print_json(options, count, elapsed);
    return kDone;
  }
  fmt::print("games {}\nplies {}\n", options.games, count.plies);
  for (int i = 1; i < shogi::kEndingCount; ++i) {
    fmt::print("{} {}\n", to_string(static_cast<shogi::Ending>(i)),
               count.endings[static_cast<std::size_t>(i)]);
  }
  fmt::print("seconds {:.3f}\nplies_per_second {:.0f}\n", elapsed,
             static_cast<double>(count.plies) / elapsed);
  return kDone;
}

}  // namespace

void add_playouts_command(CLI::App& root, CommandAction& chosen) {
  CLI::App* command = root.add_subcommand(
      "playouts", "Play uniformly random games under the full rules and count how they end");
  const auto options = std::make_shared<PlayoutsOptions>();
  command->add_option("--games", options->games, "Games from the start position")
      ->capture_default_str()
      ->check(CLI::Range(1, kMaxGames));
  command->add_option("--seed", options->seed, "The same seed plays the same games")
      ->capture_default_str();
  command->add_option("--threads", options->threads, "Threads; they change nothing but the speed")
      ->capture_default_str()
      ->check(CLI::Range(1, kMaxThreads));
  command->add_flag("--json", options->json,
                    "Print one JSON document: games, plies, endings, plies_per_second");
  command->footer("Example:\n  keisei playouts --games 10000 --seed 7");
  command->callback([options, &chosen] { chosen = [options] { return run_playouts(*options); }; });
}

}  // namespace keisei::app
