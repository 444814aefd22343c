// Random games in which every position is judged a second way (shogi/agreement.h): its legal moves
// against all conceivable ones through the independent rules, each move done and undone against a
// recomputation, and the turned board.
//   legality [--plies N] [--seed N] [--threads N]     exit 0: all agree; 3: a difference, printed
// With --list N also prints every N-th position of a game, a tab, and its moves: for other judges.
#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "shogi/agreement.h"
#include "shogi/game.h"

namespace keisei::shogi {
namespace {

constexpr std::int64_t kConceivable = 81 * 81 * 2 + 7 * 81;

struct Arguments {
  std::int64_t plies = 10'000'000;
  std::uint64_t seed = 1;
  int threads = 1;
  int list = 0;  // every so many plies of a game a line; 0: none
};

/// What was met; all of it is the same for the same games.
struct Count {
  std::int64_t games = 0;
  std::int64_t plies = 0;  // positions judged
  std::int64_t moves = 0;  // legal
  std::int64_t drops = 0;
  std::int64_t checks = 0;
  std::array<std::int64_t, kEndingCount> endings{};

  void add(const Count& other) {
    games += other.games;
    plies += other.plies;
    moves += other.moves;
    drops += other.drops;
    checks += other.checks;
    for (std::size_t i = 0; i < endings.size(); ++i) {
      endings[i] += other.endings[i];
    }
  }
};

/// Takes games by number until the plies are there, so that all numbers below the last are played.
///   game -> position -> first_fault -> count, or the fault and the end
class Run {
 public:
  explicit Run(const Arguments& arguments) : arguments_(arguments) {}

  [[nodiscard]] Count play() {
    {
      std::vector<std::jthread> threads;
      threads.reserve(static_cast<std::size_t>(arguments_.threads));
      for (int i = 0; i < arguments_.threads; ++i) {
        threads.emplace_back([this] { play_games(); });
      }
    }
    return total_;
  }

  /// The first difference; empty if all agree. After play().
  [[nodiscard]] const std::string& fault() const { return fault_; }

 private:
  void play_games() {
    Game game(GameRules{});
    while (plies_ < arguments_.plies && !failed_) {
      const std::uint64_t number = next_++;
      const Count count = play_one(game, number);
      plies_ += count.plies;
      const std::scoped_lock lock(mutex_);
      total_.add(count);
    }
  }

  Count play_one(Game& game, std::uint64_t number) {
    Count count;
    Rng rng(arguments_.seed, number);
    game.reset();
    while (!game.is_over()) {
      const std::span<const Move> moves = game.legal_moves();
      if (const std::string fault = first_fault(game.position(), moves); !fault.empty()) {
        fail(fmt::format("game {} ply {}: {}", number, game.ply(), fault));
        return count;
      }
      if (arguments_.list > 0 && game.ply() % arguments_.list == 0) {
        list(game.position(), moves);
      }
      ++count.plies;
      count.moves += static_cast<std::int64_t>(moves.size());
      count.drops += std::ranges::count_if(moves, &Move::is_drop);
      count.checks += game.in_check() ? 1 : 0;
      game.play(moves[rng.below(static_cast<std::uint32_t>(moves.size()))]);
    }
    ++count.games;
    ++count.endings[static_cast<std::size_t>(game.verdict().ending)];
    return count;
  }

  static void list(const Position& position, std::span<const Move> moves) {
    std::string line = to_sfen(position);
    char separator = '\t';
    for (const Move move : moves) {
      line += separator + to_usi(move);
      separator = ' ';
    }
    fmt::print("{}\n", line);
  }

  void fail(std::string fault) {
    failed_ = true;
    const std::scoped_lock lock(mutex_);
    if (fault_.empty()) {
      fault_ = std::move(fault);
    }
  }

  const Arguments arguments_;
  std::atomic<std::uint64_t> next_ = 0;
  std::atomic<std::int64_t> plies_ = 0;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;
  Count total_;        // guarded by mutex_
  std::string fault_;  // guarded by mutex_
};

void print(const Arguments& arguments, const Count& count, double elapsed) {
  fmt::print("seed {}, {} games, {} positions, {:.1f} s on {} threads\n", arguments.seed,
             count.games, count.plies, elapsed, arguments.threads);
  fmt::print(
      "{} moves asked of the independent rules, {} legal ({} drops), {} positions in check\n",
      count.plies * kConceivable, count.moves, count.drops, count.checks);
  fmt::print("games ended by");
  for (int i = 1; i < kEndingCount; ++i) {
    fmt::print(" {} {}", to_string(static_cast<Ending>(i)),
               count.endings[static_cast<std::size_t>(i)]);
  }
  fmt::print("\n");
}

int legality(const Arguments& arguments) {
  const MonotonicTime begin = MonotonicClock::now();
  Run run(arguments);
  const Count count = run.play();
  print(arguments, count, seconds(MonotonicClock::now() - begin));
  if (!run.fault().empty()) {
    fmt::print("DIFFERENT: {}\n", run.fault());
    return 3;
  }
  fmt::print("no difference\n");
  return 0;
}

}  // namespace
}  // namespace keisei::shogi

int main(int argc, char** argv) {
  keisei::shogi::Arguments arguments;
  CLI::App app("Judges every position of random games a second way");
  app.add_option("--plies", arguments.plies, "Positions at least")->check(CLI::PositiveNumber);
  app.add_option("--seed", arguments.seed, "Names the games");
  app.add_option("--threads", arguments.threads, "Threads that play")->check(CLI::Range(1, 1024));
  app.add_option("--list", arguments.list, "Print every N-th position of a game with its moves")
      ->check(CLI::NonNegativeNumber);
  CLI11_PARSE(app, argc, argv);
  return keisei::shogi::legality(arguments);
}
